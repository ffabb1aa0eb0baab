use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::keys::AccountKey;
use crate::crypto::{PublicKey, constant_time_eq, sha512};
use crate::ident::UserId;
use crate::wire::{Scannable, WireError};

/// How often a side is hashed, as Signal's apps do.
const ROUNDS: u32 = 5_200;
/// The version of QR codes.
const VERSION: u32 = 2;

/// What two people compare to know that nobody is between them: 60 digits, or a QR code.
///
/// It hangs on both users' names and account keys, so it stays when devices come and go. In suite `Signal`, which knows no
/// accounts, it is of two devices, and the same as in Signal's own apps.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, SafetyNumber};
/// use subrosa::ident::UserId;
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (alice, bob) = (UserId::new("alice")?, UserId::new("bob")?);
/// let (hers, his) = (AccountKeyPair::generate(&mut rng), AccountKeyPair::generate(&mut rng));
/// let at_hers = SafetyNumber::new((&alice, hers.public()), (&bob, his.public()));
/// let at_his = SafetyNumber::new((&bob, his.public()), (&alice, hers.public()));
/// assert_eq!(at_hers.digits(), at_his.digits());
/// assert_eq!(at_hers.scan(&at_his.qr()), Ok(()));
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    own: [u8; 64],
    other: [u8; 64],
    version: u32,
}

/// Why a scanned code is not that of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// It is no safety number. Scan again.
    #[error("what was scanned is no safety number")]
    Malformed(#[from] WireError),
    /// It is one of another version. Update, or compare the digits.
    #[error("safety number of another version")]
    OtherVersion,
    /// They have another key of ours: somebody is between us, or they have not seen our new one.
    #[error("the other side knows us by another key")]
    Own,
    /// We have another key of theirs.
    #[error("we know the other side by another key")]
    Other,
    /// Both differ: also the code of some other conversation.
    #[error("both sides know each other by other keys")]
    Both,
}

impl SafetyNumber {
    /// Of two people: oneself, and another. 10,400 hashes, some milliseconds.
    #[must_use]
    pub fn new(own: (&UserId, &AccountKey), other: (&UserId, &AccountKey)) -> Self {
        let side = |(user, key): (&UserId, &AccountKey)| side(ROUNDS, user.as_str().as_bytes(), &key.to_bytes());
        Self { own: side(own), other: side(other), version: VERSION }
    }

    /// Of two devices in suite `Signal`: the identifiers that the service uses, and the identity keys.
    #[must_use]
    pub fn of_devices(own: (&[u8], &PublicKey), other: (&[u8], &PublicKey)) -> Self {
        Self::with(ROUNDS, VERSION, own, other)
    }

    fn with(rounds: u32, version: u32, own: (&[u8], &PublicKey), other: (&[u8], &PublicKey)) -> Self {
        let side = |(id, key): (&[u8], &PublicKey)| side(rounds, id, &key.to_bytes());
        Self { own: side(own), other: side(other), version }
    }

    /// 60 digits, alike on both sides.
    #[must_use]
    pub fn digits(&self) -> String {
        let (own, other) = (digits(&self.own), digits(&self.other));
        if own <= other { own + &other } else { other + &own }
    }

    /// What the QR code of this side holds.
    #[must_use]
    pub fn qr(&self) -> Vec<u8> {
        let half = |hash: &[u8; 64]| hash.first_chunk().copied().unwrap_or_default();
        Scannable { version: self.version, own: half(&self.own), other: half(&self.other) }.to_bytes()
    }

    /// Compares with what was scanned from the other side's screen.
    ///
    /// # Errors
    ///
    /// [`ScanError`]: whose key differs.
    pub fn scan(&self, scanned: &[u8]) -> Result<(), ScanError> {
        let scanned = Scannable::parse(scanned)?;
        if scanned.version != self.version {
            return Err(ScanError::OtherVersion);
        }
        let is =
            |hash: &[u8; 64], half: &[u8; 32]| hash.first_chunk::<32>().is_some_and(|own| constant_time_eq(own, half));
        match (is(&self.own, &scanned.other), is(&self.other, &scanned.own)) {
            (true, true) => Ok(()),
            (false, true) => Err(ScanError::Own),
            (true, false) => Err(ScanError::Other),
            (false, false) => Err(ScanError::Both),
        }
    }
}

impl fmt::Display for SafetyNumber {
    /// Twelve groups of five digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.digits().chars().enumerate() {
            if at > 0 && at % 5 == 0 {
                f.write_char(' ')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    // It tells who talks with whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SafetyNumber(..)")
    }
}

/// The hash of one side.
fn side(rounds: u32, id: &[u8], key: &[u8; 33]) -> [u8; 64] {
    let first = sha512(&[&[0, 0], key, id, key]);
    (1..rounds).fold(first, |hash, _| sha512(&[&hash, key]))
}

/// Its 30 digits.
fn digits(side: &[u8; 64]) -> String {
    let mut out = String::with_capacity(60);
    for group in side.as_chunks::<5>().0.iter().take(6) {
        let number = group.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        // Writing to a string does not fail.
        let _ = write!(out, "{:05}", number % 100_000);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{bytes, number};
    use std::string::ToString as _;

    /// What Signal's own library shows and scans, whatever the number of rounds and the version.
    #[test]
    fn fingerprints_of_signal() {
        let vectors = crate::vectors::load("fingerprints.json");
        for case in vectors["cases"].as_array().unwrap() {
            let key = |name: &str| PublicKey::parse(&bytes(&case[name])).unwrap();
            let (own, other) =
                ((&*bytes(&case["localId"]), &key("localKey")), (&*bytes(&case["remoteId"]), &key("remoteKey")));
            let (rounds, version) = (number(&case["iterations"]), number(&case["version"]));
            let ours = SafetyNumber::with(rounds, version, own, other);
            assert_eq!(ours.digits(), case["display"].as_str().unwrap());
            assert_eq!(ours.qr(), bytes(&case["scannable"]));
            let theirs = SafetyNumber::with(rounds, version, other, own);
            assert_eq!(theirs.digits(), case["theirs"]["display"].as_str().unwrap());
            assert_eq!(theirs.qr(), bytes(&case["theirs"]["scannable"]));
            assert_eq!((ours.scan(&theirs.qr()), theirs.scan(&ours.qr())), (Ok(()), Ok(())));
            if (rounds, version) == (ROUNDS, VERSION) {
                assert_eq!(ours, SafetyNumber::of_devices(own, other));
            }
        }
    }

    #[test]
    fn whose_key_differs_is_said() {
        let key = |seed| *crate::crypto::KeyPair::new(crate::crypto::Secret::new([seed; 32])).public();
        let of = |own: u8, other: u8| SafetyNumber::with(3, VERSION, (&[], &key(own)), (&[], &key(other)));
        let ours = of(1, 2);
        assert_eq!(ours.scan(&of(2, 1).qr()), Ok(()));
        assert_eq!(ours.scan(&of(2, 3).qr()), Err(ScanError::Own));
        assert_eq!(ours.scan(&of(3, 1).qr()), Err(ScanError::Other));
        assert_eq!(ours.scan(&of(3, 3).qr()), Err(ScanError::Both));
        assert_eq!(ours.scan(&ours.qr()), Err(ScanError::Both), "one's own screen");
        let old = SafetyNumber::with(3, 1, (&[], &key(2)), (&[], &key(1)));
        assert_eq!(ours.scan(&old.qr()), Err(ScanError::OtherVersion));
        assert!(matches!(ours.scan(&ours.qr()[1..]), Err(ScanError::Malformed(_))));
        let groups = ours.to_string();
        assert_eq!((groups.len(), groups.replace(' ', "")), (71, ours.digits()));
    }
}
