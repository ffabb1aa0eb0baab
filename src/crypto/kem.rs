use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use libcrux_ml_kem::{MlKemPublicKey, kyber1024, mlkem1024};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Secret;

const PUBLIC_LEN: usize = 1568;
const SECRET_LEN: usize = 3168;
const CIPHERTEXT_LEN: usize = 1568;

/// The key-encapsulation mechanism of a handshake; its type byte leads every key and ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KemAlgorithm {
    /// CRYSTALS-Kyber-1024 as submitted to round 3, type byte `0x08`: what Signal's library uses in PQXDH.
    Kyber1024,
    /// ML-KEM-1024 (FIPS 203), type byte `0x0A`.
    MlKem1024,
}

impl KemAlgorithm {
    /// The type byte.
    #[must_use]
    pub const fn type_byte(self) -> u8 {
        match self {
            Self::Kyber1024 => 0x08,
            Self::MlKem1024 => 0x0a,
        }
    }

    const fn from_type_byte(byte: u8) -> Option<Self> {
        match byte {
            0x08 => Some(Self::Kyber1024),
            0x0a => Some(Self::MlKem1024),
            _ => None,
        }
    }
}

/// The bytes are not a KEM key or ciphertext: wrong length, unknown type byte, or (public keys) coefficients that
/// are not reduced, FIPS 203's modulus check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed KEM key or ciphertext")]
pub struct MalformedKemKey;

fn parse<const N: usize>(bytes: &[u8]) -> Result<(KemAlgorithm, Box<[u8; N]>), MalformedKemKey> {
    let (type_byte, rest) = bytes.split_first().ok_or(MalformedKemKey)?;
    let algorithm = KemAlgorithm::from_type_byte(*type_byte).ok_or(MalformedKemKey)?;
    // Looked at before it is copied: what it is not would be copied without being wiped.
    if rest.len() != N {
        return Err(MalformedKemKey);
    }
    let bytes: Box<[u8]> = rest.into();
    Ok((algorithm, bytes.try_into().map_err(|_| MalformedKemKey)?))
}

fn with_type_byte(algorithm: KemAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + bytes.len());
    out.push(algorithm.type_byte());
    out.extend_from_slice(bytes);
    out
}

/// A KEM public key: 1,569 bytes on the wire, type byte first.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey {
    algorithm: KemAlgorithm,
    bytes: Box<[u8; PUBLIC_LEN]>,
}

impl KemPublicKey {
    /// Reads the form with the type byte.
    ///
    /// # Errors
    ///
    /// [`MalformedKemKey`] for a wrong length, an unknown type or unreduced coefficients.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedKemKey> {
        let (algorithm, bytes) = parse(bytes)?;
        // Both algorithms share the layout, and so the modulus check.
        if !mlkem1024::validate_public_key(&MlKemPublicKey::from(*bytes)) {
            return Err(MalformedKemKey);
        }
        Ok(Self { algorithm, bytes })
    }

    /// Which mechanism it is for.
    #[must_use]
    pub const fn algorithm(&self) -> KemAlgorithm {
        self.algorithm
    }

    /// The form with the type byte.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        with_type_byte(self.algorithm, self.bytes.as_slice())
    }

    /// Makes a shared secret and its ciphertext; draws 32 bytes.
    #[must_use]
    pub fn encapsulate(&self, rng: &mut (impl CryptoRng + ?Sized)) -> (KemCiphertext, Secret<32>) {
        let fresh = Secret::<32>::random(rng);
        let key = MlKemPublicKey::from(*self.bytes);
        let (ciphertext, shared) = match self.algorithm {
            #[cfg(test)]
            KemAlgorithm::Kyber1024 if kyber_message_door::is_open() => {
                kyber_message_door::encapsulate(&key, *fresh.expose())
            }
            KemAlgorithm::Kyber1024 => kyber1024::encapsulate(&key, *fresh.expose()),
            KemAlgorithm::MlKem1024 => mlkem1024::encapsulate(&key, *fresh.expose()),
        };
        (KemCiphertext { algorithm: self.algorithm, bytes: Box::new(*ciphertext.as_slice()) }, Secret::new(shared))
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemPublicKey({:?})", self.algorithm)
    }
}

/// A KEM ciphertext: 1,569 bytes on the wire, type byte first.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext {
    algorithm: KemAlgorithm,
    bytes: Box<[u8; CIPHERTEXT_LEN]>,
}

impl KemCiphertext {
    /// Reads the form with the type byte.
    ///
    /// # Errors
    ///
    /// [`MalformedKemKey`] for a wrong length or an unknown type.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedKemKey> {
        let (algorithm, bytes) = parse(bytes)?;
        Ok(Self { algorithm, bytes })
    }

    /// Which mechanism made it.
    #[must_use]
    pub const fn algorithm(&self) -> KemAlgorithm {
        self.algorithm
    }

    /// The form with the type byte.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        with_type_byte(self.algorithm, self.bytes.as_slice())
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemCiphertext({:?})", self.algorithm)
    }
}

/// A KEM secret key in FIPS 203's layout: 3,169 bytes with its type byte.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSecretKey {
    #[zeroize(skip)]
    algorithm: KemAlgorithm,
    bytes: Box<[u8; SECRET_LEN]>,
}

impl KemSecretKey {
    /// Reads the form with the type byte.
    ///
    /// # Errors
    ///
    /// [`MalformedKemKey`] for a wrong length or an unknown type.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedKemKey> {
        let (algorithm, bytes) = parse(bytes)?;
        Ok(Self { algorithm, bytes })
    }

    /// The form with the type byte.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(with_type_byte(self.algorithm, self.bytes.as_slice()))
    }

    /// Recovers the shared secret. A ciphertext made for another key gives another, unpredictable secret
    /// (implicit rejection).
    ///
    /// # Errors
    ///
    /// [`MalformedKemKey`] if the ciphertext is of the other mechanism.
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> Result<Secret<32>, MalformedKemKey> {
        if ciphertext.algorithm != self.algorithm {
            return Err(MalformedKemKey);
        }
        let key = (&*self.bytes).into();
        let ciphertext = (&*ciphertext.bytes).into();
        Ok(Secret::new(match self.algorithm {
            KemAlgorithm::Kyber1024 => kyber1024::decapsulate(&key, &ciphertext),
            KemAlgorithm::MlKem1024 => mlkem1024::decapsulate(&key, &ciphertext),
        }))
    }
}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemSecretKey({:?}, ..)", self.algorithm)
    }
}

/// A KEM key pair.
///
/// # Examples
///
/// ```
/// use subrosa::crypto::{KemAlgorithm, KemKeyPair};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let pair = KemKeyPair::generate(KemAlgorithm::MlKem1024, &mut rng);
/// let (ciphertext, ours) = pair.public().encapsulate(&mut rng);
/// assert!(pair.secret().decapsulate(&ciphertext)? == ours);
/// # Ok::<(), subrosa::crypto::MalformedKemKey>(())
/// ```
#[derive(Clone, Debug)]
pub struct KemKeyPair {
    secret: KemSecretKey,
    public: KemPublicKey,
}

impl KemKeyPair {
    /// Draws a pair: 64 bytes of randomness (`d ‖ z` of FIPS 203).
    #[must_use]
    pub fn generate(algorithm: KemAlgorithm, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let seed = Secret::<64>::random(rng);
        let pair = match algorithm {
            KemAlgorithm::Kyber1024 => kyber1024::generate_key_pair(*seed.expose()),
            KemAlgorithm::MlKem1024 => mlkem1024::generate_key_pair(*seed.expose()),
        };
        Self {
            secret: KemSecretKey { algorithm, bytes: Box::new(*pair.sk()) },
            public: KemPublicKey { algorithm, bytes: Box::new(*pair.pk()) },
        }
    }

    /// Takes a stored secret key; the public key is part of its layout.
    ///
    /// # Errors
    ///
    /// [`MalformedKemKey`] if the public key inside is not one, or not the one whose hash is stored beside it (FIPS
    /// 203, section 7.3): such a key gives wrong secrets without a sign.
    pub fn from_secret(secret: KemSecretKey) -> Result<Self, MalformedKemKey> {
        // dk = ŝ (1536) ‖ ek (1568) ‖ H(ek) (32) ‖ z (32); both algorithms have this layout and this hash.
        if !mlkem1024::portable::validate_private_key_only(&(&*secret.bytes).into()) {
            return Err(MalformedKemKey);
        }
        let public = secret.bytes.get(1536..1536 + PUBLIC_LEN).ok_or(MalformedKemKey)?;
        let public = KemPublicKey::parse(&with_type_byte(secret.algorithm, public))?;
        Ok(Self { secret, public })
    }

    /// The secret half.
    #[must_use]
    pub const fn secret(&self) -> &KemSecretKey {
        &self.secret
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &KemPublicKey {
        &self.public
    }
}

/// Round-3 Kyber hashes the 32 random bytes before it uses them. Recorded handshakes give the value after that
/// hash, so their replay opens this door; it does what the two mechanisms have in common, one SHAKE apart.
#[cfg(test)]
pub(crate) mod kyber_message_door {
    use libcrux_ml_kem::mlkem1024::{self, MlKem1024Ciphertext, MlKem1024PublicKey};
    use sha3::digest::{Digest, ExtendableOutput, Update, XofReader};
    use std::cell::Cell;

    std::thread_local!(static OPEN: Cell<bool> = const { Cell::new(false) });

    pub(super) fn is_open() -> bool {
        OPEN.get()
    }

    /// Runs `f` with encapsulations taking their 32 random bytes as the already hashed message.
    pub(crate) fn open<T>(f: impl FnOnce() -> T) -> T {
        OPEN.set(true);
        let out = f();
        OPEN.set(false);
        out
    }

    pub(super) fn encapsulate(key: &MlKem1024PublicKey, message: [u8; 32]) -> (MlKem1024Ciphertext, [u8; 32]) {
        let (ciphertext, shared) = mlkem1024::encapsulate(key, message);
        let mut shake = sha3::Shake256::default();
        shake.update(&shared);
        shake.update(&sha3::Sha3_256::digest(ciphertext.as_slice()));
        let mut out = [0; 32];
        shake.finalize_xof().read(&mut out);
        (ciphertext, out)
    }
}
