use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::keys::AccountKey;
use crate::crypto::{BadSignature, KeyPair, PublicKey, Signature, Verifier, xeddsa_sign};
use crate::ident::{DeviceId, UserId};
use crate::suite::Suites;
use crate::wire::RosterEntry;

const LABEL: &[u8] = b"\x10subrosa/1/device";

/// A device of a user, with its consent to be one: an entry of a roster.
///
/// The consent is the device's own signature over user, id, suites and account key. Else an account could list another's
/// device, and pass off as its own what that device says.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, RosterDevice};
/// use subrosa::{crypto::{KeyPair, Secret}, ident::{DeviceId, UserId}, suite::{Suite, Suites}};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (account, identity) = (AccountKeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
/// let (user, id) = (UserId::new("alice")?, DeviceId::new(1));
/// let device = RosterDevice::consent(&user, id, Suites::V1, account.public(), &identity, &mut rng);
/// assert!(device.suites().contains(Suite::V1));
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RosterDevice {
    id: DeviceId,
    identity_key: PublicKey,
    suites: Suites,
    consent: Signature,
}

impl RosterDevice {
    /// Consents, as this device, to be a device of an account. Draws 64 bytes.
    #[must_use]
    pub fn consent(
        user: &UserId,
        id: DeviceId,
        suites: Suites,
        account: &AccountKey,
        identity: &KeyPair,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let consent = xeddsa_sign(identity, &consented(user, id, suites, account), rng);
        Self { id, identity_key: *identity.public(), suites, consent }
    }

    /// Its number among the user's devices.
    #[must_use]
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// Its identity key.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.identity_key
    }

    /// The suites that it speaks.
    #[must_use]
    pub const fn suites(&self) -> Suites {
        self.suites
    }

    pub(super) const fn from_parts(id: DeviceId, identity_key: PublicKey, suites: Suites, consent: Signature) -> Self {
        Self { id, identity_key, suites, consent }
    }

    pub(super) const fn signature(&self) -> &Signature {
        &self.consent
    }

    /// Whether the device consents to be this one of this account.
    pub(super) fn verify(&self, user: &UserId, account: &AccountKey) -> Result<(), BadSignature> {
        let message = consented(user, self.id, self.suites, account);
        Verifier::new(&self.identity_key).verify(&message, &self.consent)
    }

    /// `None` if the bits of the suites name none, or others.
    pub(super) fn of_entry(entry: &RosterEntry) -> Option<Self> {
        let RosterEntry { device, identity_key, suites, consent } = entry;
        let suites = Suites::from_bits(*suites)?;
        Some(Self { id: DeviceId::new(*device), identity_key: *identity_key, suites, consent: *consent })
    }

    pub(super) fn entry(&self) -> RosterEntry {
        let Self { id, identity_key, suites, consent } = self;
        RosterEntry { device: id.get(), identity_key: *identity_key, suites: suites.bits().into(), consent: *consent }
    }
}

impl fmt::Debug for RosterDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, identity_key, suites, consent: _ } = self;
        f.debug_struct("RosterDevice")
            .field("id", id)
            .field("identity_key", identity_key)
            .field("suites", suites)
            .finish_non_exhaustive()
    }
}

/// What a consent is signed over.
fn consented(user: &UserId, id: DeviceId, suites: Suites, account: &AccountKey) -> Vec<u8> {
    let user = user.as_str().as_bytes();
    let len = u32::try_from(user.len()).unwrap_or(u32::MAX);
    [
        LABEL,
        &len.to_be_bytes(),
        user,
        &id.get().to_be_bytes(),
        &u32::from(suites.bits()).to_be_bytes(),
        &account.to_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountKeyPair;
    use crate::crypto::Secret;

    #[test]
    fn a_consent_is_for_one_account_user_id_and_suites() {
        let mut rng = crate::support::rng(1);
        let account = *AccountKeyPair::new(Secret::new([1; 32])).public();
        let other = *AccountKeyPair::new(Secret::new([2; 32])).public();
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        let identity = KeyPair::generate(&mut rng);
        let device = RosterDevice::consent(&alice, DeviceId::new(1), Suites::BOTH, &account, &identity, &mut rng);
        assert_eq!(device.verify(&alice, &account), Ok(()));
        assert_eq!(device.verify(&bob, &account), Err(BadSignature));
        assert_eq!(device.verify(&alice, &other), Err(BadSignature));
        for changed in [
            RosterDevice { id: DeviceId::new(2), ..device.clone() },
            RosterDevice { suites: Suites::V1, ..device.clone() },
            RosterDevice { identity_key: *KeyPair::generate(&mut rng).public(), ..device },
        ] {
            assert_eq!(changed.verify(&alice, &account), Err(BadSignature), "{changed:?}");
        }
        assert_eq!(RosterDevice::of_entry(&device.entry()), Some(device.clone()));
        for suites in [0, 4, 5, u32::MAX] {
            assert_eq!(RosterDevice::of_entry(&RosterEntry { suites, ..device.entry() }), None);
        }
    }
}
