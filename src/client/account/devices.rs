//! Devices of one's own account: linked, removed; who signs.

use alloc::vec::Vec;

use super::open::make_with;
use super::roster::OwnRosterError;
use crate::account::{
    AccountKeyPair, HeldRoster, LinkError, NextRoster, PendingLink, Provisioned, Roster, ScannedOffer,
};
use crate::client::Client;
use crate::client::account::{CreateError, Opened};
use crate::ident::{Address, DeviceId, RegistrationId};
use crate::persist::{RecordKey, StorageKey};
use crate::prekey::Device;
use crate::rows::{Core, OwnAccount, Standing};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suites;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

/// Why no device was linked. Nothing has happened, unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkDeviceError {
    /// Another device is being linked. Complete that, or wait until its ten minutes are over.
    #[error("another device is being linked")]
    Busy,
    /// No device is being linked, or its ten minutes are over. Scan its code again.
    #[error("no device is being linked")]
    NoLink,
    /// The device was removed from this account before. It makes a new identity key: install the app anew there.
    #[error("the device was removed from the account before")]
    WasRemoved,
    /// What was scanned, or what came of it, is no link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What stands in the way in one's own account.
    #[error(transparent)]
    Own(#[from] OwnRosterError),
}

type Halt<E> = Stop<E>;

/// The answer to a new device's offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnsweredLink {
    /// Where it is posted: the mailbox of the offer.
    pub mailbox: [u8; 16],
    /// What is posted there.
    pub message: Vec<u8>,
    /// The number that the device gets.
    pub device: DeviceId,
}

/// A new device's own client, not listed yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Linked {
    /// The client.
    pub opened: Opened,
    /// What is posted to the mailbox for the primary, after the commit.
    pub consent: Vec<u8>,
}

impl Client {
    /// On the primary: answers the offer that a new device shows. The message is posted to the offer's mailbox; the new device
    /// then shows six digits, which the person types in here ([`Self::complete_link`]).
    ///
    /// # Errors
    ///
    /// [`LinkDeviceError`], when it is staged.
    ///
    /// # Security
    ///
    /// Ask the person whether they hold the new device in their hands: whoever photographs the code can offer a device, and is
    /// stopped by the digits.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::LinkOffer;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// # alice.roster_published(1).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # let tablet_db = Memory::default();
    /// // The new device shows a code, and waits at its mailbox.
    /// let mut offer = LinkOffer::new(now, &mut rng);
    /// let answered = alice.answer_link(&offer.qr()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let provisioned = offer.open(&answered.message, now)?;
    /// // It shows whose account it is, and the digits.
    /// let digits = provisioned.digits().as_str().to_owned();
    /// let linked = Client::create_linked(&StorageKey::new([8; 32]), &provisioned, Suites::V1)
    ///     .run(&tablet_db, now, &mut rng, |_, _| Ok(()))?;
    /// // The person types them in on the primary, which has got the consent.
    /// let device = alice.complete_link(&linked.consent, &digits).run(&db, now, &mut rng, |_, _| Ok(()))??;
    /// assert_eq!(device, answered.device);
    /// // Now there is a roster to be published.
    /// assert!(alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?.upload().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer_link(&self, qr: &[u8]) -> Operation<AnsweredLink, LinkDeviceError> {
        let core = self.core.clone();
        let qr = zeroize::Zeroizing::new(qr.get(..MAX_QR).map_or_else(|| qr.to_vec(), <[u8]>::to_vec));
        Operation::new("answer_link", move |work| {
            work.announce(core.link_keys());
            let offer = ScannedOffer::parse(&qr).map_err(LinkDeviceError::from)?;
            let (account, _) = core.as_primary(work).map_err(from_own)?;
            if core.load_link(work)?.is_some_and(|pending| pending.is_open(work.now)) {
                return Err(LinkDeviceError::Busy.into());
            }
            if account.was_removed(offer.identity_key()) {
                return Err(LinkDeviceError::WasRemoved.into());
            }
            let roster = account.roster().ok_or(LinkDeviceError::Own(OwnRosterError::Pending))?;
            let mailbox = offer.mailbox();
            let (pending, message) = offer.answer(roster, work.now, &mut work.rng).map_err(LinkDeviceError::from)?;
            let device = pending.device();
            core.save_link(work, &pending);
            Ok(AnsweredLink { mailbox, message, device })
        })
    }

    /// On the primary: takes the new device's consent, and the digits that the person typed in. The roster with the new
    /// device is then to be published.
    ///
    /// The error inside is committed: the offer is over, since digits may be tried once.
    ///
    /// # Errors
    ///
    /// [`LinkDeviceError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::answer_link`].
    pub fn complete_link(
        &self,
        consent: &[u8],
        digits: &str,
    ) -> Operation<Result<DeviceId, LinkError>, LinkDeviceError> {
        let (core, consent) = (self.core.clone(), consent.to_vec());
        let digits: zeroize::Zeroizing<Vec<u8>> = digits.as_bytes().to_vec().into();
        Operation::new("complete_link", move |work| {
            work.announce(core.link_keys());
            let (mut account, secret) = core.as_primary(work).map_err(from_own)?;
            let pending = core.load_link(work)?.ok_or(LinkDeviceError::NoLink)?;
            work.delete(core.link_key());
            let digits = core::str::from_utf8(&digits).unwrap_or_default();
            let device = match pending.complete(&consent, digits, work.now) {
                Ok(device) => device,
                Err(error) => return Ok(Err(error)),
            };
            let id = device.id();
            let next =
                account.roster().ok_or(LinkDeviceError::Own(OwnRosterError::Pending))?.next(work.now).link(device);
            core.sign_next(work, &mut account, next, &secret).map_err(from_own)?;
            Ok(Ok(id))
        })
    }

    /// On a new device: makes its client, with what the primary told it. The consent is posted to the offer's mailbox after the
    /// commit. Until a roster lists the device it receives and does not send.
    ///
    /// # Errors
    ///
    /// [`CreateError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::answer_link`].
    pub fn create_linked(
        storage_key: &StorageKey,
        provisioned: &Provisioned,
        suites: Suites,
    ) -> Operation<Linked, CreateError> {
        let storage_key = storage_key.clone();
        let address = Address::new(provisioned.user().clone(), provisioned.device());
        let provisioned = provisioned.clone();
        Operation::new("create_linked", move |work| {
            if work.row::<CreateError>(RecordKey::VAULT)?.is_some() {
                return Err(CreateError::Exists.into());
            }
            let registration = RegistrationId::random(&mut work.rng);
            let identity = provisioned.identity().clone();
            let device = Device::new(address.clone(), identity, registration).with_suites(suites);
            let (_, consent) = provisioned.consent(suites, &mut work.rng);
            let roster = HeldRoster::first(provisioned.roster().clone());
            let account = OwnAccount::linked(roster, *device.identity_key(), work.now);
            let opened =
                make_with(work, &storage_key, &device, |core, work| core.put_new_account(work, &account, None));
            Ok(Linked { opened, consent })
        })
    }

    /// On the primary: removes a device from the account. The roster without it is then to be published; once peers have it,
    /// they send the device nothing and take nothing from it.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// # alice.roster_published(1).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let nobody = alice.remove_device(DeviceId::new(7)).stage(&db, now, &mut rng);
    /// assert!(matches!(nobody, Err(StageError::Operation(OwnRosterError::UnknownDevice))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_device(&self, id: DeviceId) -> Operation<(), OwnRosterError> {
        let core = self.core.clone();
        Operation::new("remove_device", move |work| {
            core.change_roster(work, |roster, next| {
                if roster.device(id).is_none() {
                    return Err(OwnRosterError::UnknownDevice);
                }
                if roster.primary() == id { Err(OwnRosterError::IsPrimary) } else { Ok(next.remove(id)) }
            })
        })
    }

    /// On the primary: deletes the account for others. The roster that says so is then to be published; what they have of the
    /// user they delete 72 hours later. Until then, and later too, [`Self::restore_account`] takes it back.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// # alice.roster_published(1).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.delete_account().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # alice.roster_published(2).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.restore_account().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let own = alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(own.published.unwrap().is_deleted() && !own.pending.unwrap().is_deleted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_account(&self) -> Operation<(), OwnRosterError> {
        let core = self.core.clone();
        Operation::new("delete_account", move |work| core.change_roster(work, |_, next| Ok(next.delete())))
    }

    /// On the primary: takes [`Self::delete_account`] back.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::delete_account`].
    pub fn restore_account(&self) -> Operation<(), OwnRosterError> {
        let core = self.core.clone();
        Operation::new("restore_account", move |work| core.change_roster(work, |_, next| Ok(next.take_back())))
    }
}

/// A code is shorter.
const MAX_QR: usize = 256;

fn from_own(stop: Halt<OwnRosterError>) -> Halt<LinkDeviceError> {
    stop.map(LinkDeviceError::from)
}

impl Core {
    fn link_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::PendingLink, &[])
    }

    fn link_keys(&self) -> [RecordKey; 3] {
        [self.account_key(), self.account_secret_key(), self.link_key()]
    }

    /// A link that is under way. One that is damaged is none: the device is scanned again.
    fn load_link(&self, work: &mut Workspace<'_>) -> Result<Option<PendingLink>, Halt<LinkDeviceError>> {
        let kind = RecordKind::PendingLink;
        let read = self.read(work, kind, self.link_key(), |bytes| {
            let mut fields = FieldReader::record(kind, bytes)?;
            let pending = PendingLink::from_bytes(fields.some_bytes(1)?)?;
            fields.end()?;
            Ok::<_, RecordError>(pending)
        });
        read.map_err(|stop| stop.map(|error: StoredError| LinkDeviceError::Own(error.into())))
    }

    fn save_link(&self, work: &mut Workspace<'_>, pending: &PendingLink) {
        let mut out = FieldWriter::row(RecordKind::PendingLink, 560);
        out.some_bytes(1, &pending.to_bytes());
        work.put(&self.keys, self.link_key(), out.into_record());
    }

    /// The account and its key, on the primary, where no roster waits to be published.
    pub(super) fn as_primary(
        &self,
        work: &mut Workspace<'_>,
    ) -> Result<(OwnAccount, AccountKeyPair), Halt<OwnRosterError>> {
        work.announce([self.account_key(), self.account_secret_key()]);
        let account = self.own_account(work)?;
        let secret = self.load_account_secret(work).map_err(|stop| stop.map(OwnRosterError::from))?;
        let secret = secret.ok_or(OwnRosterError::NotPrimary)?;
        if account.roster().is_some_and(|roster| roster.primary() != self.address.device()) {
            return Err(OwnRosterError::NotPrimary.into());
        }
        Ok((account, secret))
    }

    /// Signs the next roster, which is then to be published.
    fn sign_next(
        &self,
        work: &mut Workspace<'_>,
        account: &mut OwnAccount,
        next: NextRoster,
        secret: &AccountKeyPair,
    ) -> Result<(), Halt<OwnRosterError>> {
        if account.pending.is_some() {
            return Err(OwnRosterError::Pending.into());
        }
        account.pending = Some(next.sign(secret).map_err(OwnRosterError::from)?);
        self.save_account(work, account);
        Ok(())
    }

    /// On the primary, signs the roster anew when it is old: else whoever stole a device that was then removed introduces itself
    /// with the old one for ever.
    pub(in crate::client) fn renew_lease(&self, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        let Some(account) = self.load_account(work)?.filter(|account| account.pending.is_none()) else { return Ok(()) };
        let due = account.roster().filter(|roster| {
            roster.is_due(work.now)
                && roster.primary() == self.address.device()
                && account.standing(self) == Standing::Listed
        });
        let Some(roster) = due else { return Ok(()) };
        let Some(secret) = self.load_account_secret(work)? else { return Ok(()) };
        // What cannot be signed stays as it is: the version has come to its end.
        if let Ok(next) = roster.next(work.now).sign(&secret) {
            let mut account = account;
            account.pending = Some(next);
            self.save_account(work, &account);
        }
        Ok(())
    }

    /// Makes the next roster of the account.
    pub(in crate::client) fn change_roster(
        &self,
        work: &mut Workspace<'_>,
        change: impl FnOnce(&Roster, NextRoster) -> Result<NextRoster, OwnRosterError>,
    ) -> Result<(), Halt<OwnRosterError>> {
        let (mut account, secret) = self.as_primary(work)?;
        let roster = account.roster().ok_or(OwnRosterError::Pending)?;
        let next = change(roster, roster.next(work.now))?;
        self.sign_next(work, &mut account, next, &secret)
    }
}
