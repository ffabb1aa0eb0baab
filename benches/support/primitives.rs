//! Bare primitives, as yardsticks; and the least that an operation can cost: the sum of the primitive calls that it
//! cannot avoid, at what they cost in the same run.

use std::hint::black_box;

use aes::Aes256;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use libcrux_ml_kem::{mlkem768, mlkem1024};
use sha2::{Digest, Sha256};
use subrosa::suite::Suite;
use x25519_dalek::{PublicKey, StaticSecret};

use super::measure::{Case, Results};

pub(crate) const LADDER: &str = "X25519, Montgomery ladder";
pub(crate) const EDWARDS: &str = "X25519, through the Edwards form";
pub(crate) const KEY_PAIR: &str = "X25519 key pair";
pub(crate) const VERIFY: &str = "XEdDSA verification, Ed25519 with an X25519 key";
pub(crate) const KEYS_768: &str = "ML-KEM-768 key pair";
pub(crate) const ENCAPS_768: &str = "ML-KEM-768 encapsulation";
pub(crate) const DECAPS_768: &str = "ML-KEM-768 decapsulation";
pub(crate) const ENCAPS_1024: &str = "ML-KEM-1024 encapsulation";
pub(crate) const DECAPS_1024: &str = "ML-KEM-1024 decapsulation";
pub(crate) const GCM_SEAL: &str = "AES-256-GCM, seal 1 KiB";
pub(crate) const GCM_OPEN: &str = "AES-256-GCM, open 1 KiB";
pub(crate) const CBC_SEAL: &str = "AES-256-CBC, encrypt 1 KiB";
pub(crate) const CBC_OPEN: &str = "AES-256-CBC, decrypt 1 KiB";
pub(crate) const SHA: &str = "SHA-256, 1 KiB";
pub(crate) const HMAC_STEP: &str = "HMAC-SHA-256, 1 byte: a chain step is two";
pub(crate) const HMAC: &str = "HMAC-SHA-256, 1 KiB";
pub(crate) const HKDF_64: &str = "HKDF-SHA-256, 64 bytes";
pub(crate) const HKDF_96: &str = "HKDF-SHA-256, 96 bytes";

/// All of them, in the order of a table.
pub(crate) const ALL: [&str; 18] = [
    LADDER,
    EDWARDS,
    KEY_PAIR,
    VERIFY,
    KEYS_768,
    ENCAPS_768,
    DECAPS_768,
    ENCAPS_1024,
    DECAPS_1024,
    GCM_SEAL,
    GCM_OPEN,
    CBC_SEAL,
    CBC_OPEN,
    SHA,
    HMAC_STEP,
    HMAC,
    HKDF_64,
    HKDF_96,
];

/// What 1,024 bytes become in suite V1: padded.
const PADDED: usize = 1_088;
/// About as much as a message of suite V1 authenticates beside its ciphertext.
const AD: [u8; 176] = [7; 176];

pub(crate) fn cases() -> Vec<Case<'static>> {
    curve().into_iter().chain(kem()).chain(symmetric()).collect()
}

fn curve() -> Vec<Case<'static>> {
    let ours = StaticSecret::from([7; 32]);
    let theirs = PublicKey::from(&StaticSecret::from([9; 32]));
    let ladder = move || ours.diffie_hellman(&theirs);
    // A public key of an honest party is on the curve, and either sign of its Edwards point gives the same coordinate.
    let point = MontgomeryPoint(theirs.to_bytes());
    let edwards = move || point.to_edwards(0).unwrap().mul_clamped(black_box([7; 32])).to_montgomery();
    let signing = SigningKey::from_bytes(&[3; 32]);
    let (message, verifying) = ([5; 256], VerifyingKey::from(&signing));
    let (signature, identity) = (signing.sign(&message), verifying.to_montgomery());
    let sign = verifying.as_bytes()[31] >> 7;
    let verify = move || {
        let key = VerifyingKey::from(black_box(identity).to_edwards(sign).unwrap());
        key.verify_strict(&message, &signature).unwrap();
    };
    vec![
        Case::plain(LADDER, ladder),
        Case::plain(EDWARDS, edwards),
        Case::plain(KEY_PAIR, || PublicKey::from(&StaticSecret::from(black_box([7; 32])))),
        Case::plain(VERIFY, verify),
    ]
}

/// The KEM operations of the braid.
pub(crate) fn braid_kem() -> Vec<Case<'static>> {
    let keys = mlkem768::generate_key_pair([1; 64]);
    let (ciphertext, _) = mlkem768::encapsulate(keys.public_key(), [2; 32]);
    let (private, public) = keys.into_parts();
    vec![
        Case::plain(KEYS_768, || mlkem768::generate_key_pair(black_box([1; 64]))),
        Case::plain(ENCAPS_768, move || mlkem768::encapsulate(&public, black_box([2; 32]))),
        Case::plain(DECAPS_768, move || mlkem768::decapsulate(&private, &ciphertext)),
    ]
}

fn kem() -> Vec<Case<'static>> {
    let keys = mlkem1024::generate_key_pair([1; 64]);
    let (ciphertext, _) = mlkem1024::encapsulate(keys.public_key(), [2; 32]);
    let (private, public) = keys.into_parts();
    let mut cases = braid_kem();
    cases.push(Case::plain(ENCAPS_1024, move || mlkem1024::encapsulate(&public, black_box([2; 32]))));
    cases.push(Case::plain(DECAPS_1024, move || mlkem1024::decapsulate(&private, &ciphertext)));
    cases
}

fn symmetric() -> Vec<Case<'static>> {
    let (key, nonce, iv) = ([1; 32], [2; 12], [3; 16]);
    // Every message has a key of its own: its schedule belongs to the work.
    let seal = move |buffer: &mut [u8]| {
        Aes256Gcm::new(&key.into()).encrypt_inout_detached(&nonce.into(), &AD, buffer.into()).unwrap()
    };
    let mut sealed = vec![0x5a; PADDED];
    let tag = seal(&mut sealed);
    let (mut buffer, mut opened) = (vec![0x5a; PADDED], vec![0; PADDED]);
    let open = move || {
        let buffer = InOutBuf::new(&sealed, &mut opened).unwrap();
        Aes256Gcm::new(&key.into()).decrypt_inout_detached(&nonce.into(), &AD, buffer, &tag).unwrap();
    };
    let (plain, mut out) = (vec![0x5a; 1_024], vec![0; 1_040]);
    let cbc = move |out: &mut [u8]| {
        let cipher = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
        cipher.encrypt_padded_b2b::<Pkcs7>(&plain, out).map(<[u8]>::len).unwrap()
    };
    cbc(&mut out);
    let (blocks, mut opened) = (out.clone(), vec![0; 1_040]);
    let cbc_open = move || {
        let cipher = cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into());
        cipher.decrypt_padded_b2b::<Pkcs7>(&blocks, &mut opened).map(<[u8]>::len).unwrap()
    };
    vec![
        Case::plain(GCM_SEAL, move || seal(&mut buffer)),
        Case::plain(GCM_OPEN, open),
        Case::plain(CBC_SEAL, move || cbc(&mut out)),
        Case::plain(CBC_OPEN, cbc_open),
        Case::plain(SHA, || Sha256::digest(black_box([0x5a; 1_024]))),
        Case::plain(HMAC_STEP, move || hmac(black_box(&key), &[1])),
        Case::plain(HMAC, move || hmac(black_box(&key), &[0x5a; 1_024])),
        Case::plain(HKDF_64, move || hkdf::<64>(black_box(&key))),
        Case::plain(HKDF_96, move || hkdf::<96>(black_box(&key))),
    ]
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
}

fn hkdf<const N: usize>(key: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(Some(&[0; 32]), key).expand(b"a label of some thirty-odd bytes", &mut out).unwrap();
    out
}

/// The least that operations can cost with these primitives, in nanoseconds. Copies, encodings, allocations and
/// randomness count nothing.
pub(crate) struct Limits<'a> {
    pub(crate) results: &'a Results,
    pub(crate) suite: Suite,
    /// Which way of agreeing is counted: [`LADDER`] or [`EDWARDS`].
    pub(crate) agreement: &'static str,
    /// Messages of a ping-pong in which the post-quantum ratchet completes an epoch.
    pub(crate) epoch: f64,
}

impl Limits<'_> {
    fn of(&self, name: &str) -> f64 {
        self.results.of(name)
    }

    /// Of each chain its next key: two HMACs in the Double Ratchet's, 64 bytes of HKDF in the post-quantum one.
    fn chains(&self) -> f64 {
        2.0 * self.of(HMAC_STEP) + self.of(HKDF_64)
    }

    /// V1: chains, a hash of the plaintext and one HMAC for the salt, 44 bytes of HKDF (two blocks, as 64), AES-GCM.
    /// Signal: chains, 80 bytes of HKDF (three blocks, as 96), AES-CBC, HMAC.
    pub(crate) fn encrypt(&self) -> f64 {
        self.chains()
            + match self.suite {
                Suite::V1 => self.of(SHA) + self.of(HMAC_STEP) + self.of(HKDF_64) + self.of(GCM_SEAL),
                _ => self.of(HKDF_96) + self.of(CBC_SEAL) + self.of(HMAC),
            }
    }

    /// The same without the salt.
    pub(crate) fn decrypt(&self) -> f64 {
        self.chains()
            + match self.suite {
                Suite::V1 => self.of(HKDF_64) + self.of(GCM_OPEN),
                _ => self.of(HKDF_96) + self.of(CBC_OPEN) + self.of(HMAC),
            }
    }

    /// Both chains pass over so many messages.
    pub(crate) fn skip(&self, count: u32) -> f64 {
        f64::from(count) * self.chains() + self.decrypt()
    }

    /// Encrypt, decrypt; two agreements, a key pair and two root steps for the receiver's turn of the ratchet; and a
    /// message's share of the epoch's three KEM operations.
    pub(crate) fn ping_pong(&self) -> f64 {
        let epoch = self.of(KEYS_768) + self.of(ENCAPS_768) + self.of(DECAPS_768);
        let turn = 2.0 * self.of(self.agreement) + self.of(KEY_PAIR) + 2.0 * self.of(HKDF_64);
        self.encrypt() + self.decrypt() + turn + epoch / self.epoch
    }

    /// What both sides derive: the handshake's keys and the post-quantum ratchet's chains (96 bytes each), its
    /// authenticator (64); in V1, hashes of the KEM's public key and ciphertext, each about 1.5 KiB.
    fn start(&self) -> f64 {
        let transcript = if self.suite == Suite::V1 { 3.0 * self.of(SHA) } else { 0.0 };
        2.0 * self.of(HKDF_96) + self.of(HKDF_64) + transcript
    }

    /// Four agreements with a one-time prekey, one for the first root step, the key pairs of handshake and ratchet, an
    /// encapsulation, and the first message, which brings the braid's first key pair. The bundle is verified already.
    pub(crate) fn initiate(&self) -> f64 {
        let curve = 5.0 * self.of(self.agreement) + 2.0 * self.of(KEY_PAIR) + self.of(HKDF_64);
        curve + self.of(ENCAPS_1024) + self.start() + self.of(KEYS_768) + self.encrypt()
    }

    /// The same with both signatures of the bundle.
    pub(crate) fn initiate_verifying(&self) -> f64 {
        2.0 * self.of(VERIFY) + self.initiate()
    }

    /// Four agreements with a one-time prekey, two and a key pair for the turn of the ratchet, a decapsulation, and the
    /// first message. Not counted: the check that the base key has one spelling, which a design could do without.
    pub(crate) fn accept(&self) -> f64 {
        let curve = 6.0 * self.of(self.agreement) + self.of(KEY_PAIR) + 2.0 * self.of(HKDF_64);
        curve + self.of(DECAPS_1024) + self.start() + self.decrypt()
    }
}
