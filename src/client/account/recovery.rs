//! Recovery keys: named by the primary, used by who has lost it.

use alloc::vec::Vec;

use super::open::make_with;
use super::roster::OwnRosterError;
use crate::account::{
    AccountKeyPair, CarriedRoster, NextRosterError, RecoveryKey, RecoveryKeyPair, Roster, RosterDevice, RosterError,
    Step, Succession, UnverifiedRoster,
};
use crate::client::Client;
use crate::client::account::Opened;
use crate::crypto::KeyPair;
use crate::ident::{Address, RegistrationId, UserId};
use crate::persist::{RecordKey, StorageKey};
use crate::prekey::Device;
use crate::rows::{Core, OwnAccount};
use crate::staging::{Operation, Stop, Workspace};
use crate::suite::Suites;

/// Why an account was not renewed. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// There is an account in this database already. Use an empty one.
    #[error("there is an account already")]
    Exists,
    /// What the directory gave is no roster of this user.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The roster does not name this recovery key: these are the words of another account, or of before.
    #[error("the roster does not name this recovery key")]
    OtherRecoveryKey,
    /// No number is left for a device, or the roster is no other's successor: such an account has come to its end.
    #[error(transparent)]
    Next(#[from] NextRosterError),
    /// All device numbers of the account were given away.
    #[error("no device number is left")]
    NoId,
}

impl Client {
    /// On the primary: names the key that the account can be [renewed](Self::create_renewed) with when the primary is lost or
    /// stolen. Its private half the person keeps, as words on paper, and no device.
    ///
    /// Before the first roster is published it counts at once; later from the 30th day on after others have seen it, so that a
    /// thief of the primary cannot set one of his own. The roster that names it is then to be published.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged; of a fifth key that it would be no roster.
    ///
    /// # Examples
    ///
    /// See [`Self::create_renewed`].
    pub fn name_recovery(&self, key: &RecoveryKey) -> Operation<(), OwnRosterError> {
        let (core, key) = (self.core.clone(), *key);
        Operation::new("name_recovery", move |work| {
            if core.name_first_recovery(work, &key)? {
                return Ok(());
            }
            core.change_roster(work, |_, next| Ok(next.name_recovery(key)))
        })
    }

    /// Begins anew under the same name, on a new device, when the primary was lost or stolen: with the recovery key. Draws
    /// another account key and says, signed, that it takes the place of the former one; who knew that one follows
    /// ([`AccountStatus::Renewed`](crate::client::AccountStatus::Renewed)). All former devices are removed by it.
    ///
    /// `head` is what the directory has. Publish the roster and prekeys next.
    ///
    /// # Errors
    ///
    /// [`RenewError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever has the recovery key can do this. Without one, a stolen primary is a stolen account.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::{CarriedRoster, RecoveryKeyPair};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), (now, mut rng), new_db) = (account("alice"), (NOW, rng()), Memory::default());
    /// // When the account is made: 16 bytes, which the person writes down as words.
    /// let words = RecoveryKeyPair::from_entropy(&[7; 16]);
    /// alice.name_recovery(words.public()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.roster_published(1).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # let head = CarriedRoster::parse(&directory(&alice, &db))?;
    /// // The phone is gone. On a new one, with what the directory has:
    /// let user = alice.address().user();
    /// let renew = Client::create_renewed(&StorageKey::new([9; 32]), user, &head, &words, Suites::V1);
    /// let opened = renew.run(&new_db, now, &mut rng, |_, _| Ok(()))?;
    /// let own = opened.client.own_roster().run(&new_db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(own.upload().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_renewed(
        storage_key: &StorageKey,
        user: &UserId,
        head: &CarriedRoster,
        recovery: &RecoveryKeyPair,
        suites: Suites,
    ) -> Operation<Opened, RenewError> {
        let (storage_key, user, head, recovery) = (storage_key.clone(), user.clone(), head.clone(), recovery.clone());
        Operation::new("create_renewed", move |work| {
            if work.row::<RenewError>(RecordKey::VAULT)?.is_some() {
                return Err(RenewError::Exists.into());
            }
            let old = head.roster().clone().verify(&user).map_err(RenewError::from)?;
            if !old.recoveries().iter().any(|named| named.key == *recovery.public()) {
                return Err(RenewError::OtherRecoveryKey.into());
            }
            let id = old.device_under_new_key().ok_or(RenewError::NoId)?;
            let (identity, pair) = (KeyPair::generate(&mut work.rng), AccountKeyPair::generate(&mut work.rng));
            let entry = RosterDevice::consent(&user, id, suites, pair.public(), &identity, &mut work.rng);
            let next = old.under_new_key(entry, Some(*recovery.public()), work.now);
            let roster = next.sign(&pair).map_err(RenewError::from)?;
            let succession = Succession::sign(&user, old.account_key(), &pair, &recovery, work.now);
            let before = Some(UnverifiedRoster::of(&old));
            let steps: Vec<Step> = head.steps().iter().cloned().chain([Step { succession, before }]).collect();
            let registration = RegistrationId::random(&mut work.rng);
            let device = Device::new(Address::new(user.clone(), id), identity, registration).with_suites(suites);
            let account = OwnAccount::new(roster, *device.identity_key()).with_steps(steps);
            Ok(make_with(work, &storage_key, &device, |core, work| core.put_new_account(work, &account, Some(&pair))))
        })
    }
}

impl Core {
    /// Puts a recovery key into the first roster, if that is not published yet. Whether it did.
    fn name_first_recovery(&self, work: &mut Workspace<'_>, key: &RecoveryKey) -> Result<bool, Stop<OwnRosterError>> {
        work.announce([self.account_key(), self.account_secret_key()]);
        let mut account = self.own_account(work)?;
        let secret = self.load_account_secret(work).map_err(|stop| stop.map(OwnRosterError::from))?;
        let first = account.pending.as_ref().filter(|_| account.roster().is_none());
        let (Some(first), Some(secret)) = (first.filter(|first| first.version() == 1), secret) else {
            return Ok(false);
        };
        let Some(device) = first.devices().first() else { return Ok(false) };
        let next = Roster::first(first.user(), device.clone(), Some(*key), work.now);
        account.pending = Some(next.sign(&secret).map_err(OwnRosterError::from)?);
        self.save_account(work, &account);
        Ok(true)
    }
}
