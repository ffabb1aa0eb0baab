use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::taken::Taken;
use crate::crypto::{KemPublicKey, PublicKey};
use crate::ident::{Address, PrekeyId, RegistrationId};
use crate::prekey::{
    BundleError, PrekeyCounts, PrekeyUpload, PublishedPrekey, UnverifiedBundle, read_all, read_kem, read_one_time,
    read_signed, write_kem, write_one_time, write_signed,
};
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_address, read_public_key, write_address};

/// What a server keeps of one device's prekeys, of one suite: it takes uploads and gives out bundles, each one-time prekey
/// once.
///
/// It is a value without secrets and without time. A host stores [`Self::to_bytes`] under the device's address and the suite,
/// and changes it in a transaction, so that two requests do not get the same one-time prekey (docs/server.md).
///
/// # Security
///
/// The prekey store knows keys, not people: that an upload comes from the device whose address it bears is for the server to
/// authenticate. A prekey store that hands out what it should not costs its users attempts and secrecy of first messages
/// against later theft; it can read nothing.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (alice, db) = account("alice");
/// # let (now, mut rng) = (NOW, rng());
/// use subrosa::platform::PrekeyStore;
/// let uploads = alice.publish_prekeys(PrekeyCounts::default()).run(&db, now, &mut rng, |_, _| Ok(()))?;
/// // At the server:
/// let upload = PrekeyUpload::parse(&uploads[0].to_bytes())?;
/// let mut prekey_store = PrekeyStore::new(alice.address().clone(), upload.suite);
/// assert_eq!(prekey_store.apply(&upload)?.one_time, 100);
/// let bundle = prekey_store.claim().unwrap();
/// assert_eq!(prekey_store.counts(), PrekeyCounts { one_time: 99, one_time_kem: 99 });
/// assert_eq!(PrekeyStore::from_bytes(&prekey_store.to_bytes())?, prekey_store);
/// // At whoever asked for it:
/// assert_eq!(bundle.verify()?.address(), alice.address());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeyStore {
    address: Address,
    suite: Suite,
    contents: Option<Contents>,
}

/// What a device has uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contents {
    registration_id: RegistrationId,
    identity_key: PublicKey,
    signed: PublishedPrekey<PublicKey>,
    last_resort: PublishedPrekey<KemPublicKey>,
    /// Oldest first: in this order they are handed out.
    one_time: VecDeque<(PrekeyId, PublicKey)>,
    one_time_kem: VecDeque<PublishedPrekey<KemPublicKey>>,
    taken: AllTaken,
}

/// Which ids were ever taken, of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct AllTaken {
    signed: Taken,
    last_resort: Taken,
    one_time: Taken,
    one_time_kem: Taken,
}

/// What a prekey store has taken of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedUpload {
    /// One-time X25519 prekeys; those that it has had before are passed over, and those for which there is no room.
    pub one_time: u32,
    /// One-time KEM prekeys.
    pub one_time_kem: u32,
}

/// Why an upload is not taken. The prekey store is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrekeyStoreError {
    /// It is of another device. Look for that one's prekey store, if the connection may speak for it.
    #[error("upload is of another device")]
    OtherDevice,
    /// It is of another suite: each has a prekey store of its own.
    #[error("upload is of another suite")]
    OtherSuite,
    /// A signature does not verify, or a key is of the wrong kind: the request was bad.
    #[error(transparent)]
    Unverified(#[from] BundleError),
    /// A prekey does not name the prekey store's suite among those that its owner speaks: the request was bad.
    #[error("prekey is not offered for this suite")]
    SuiteNotOffered,
    /// There are too many one-time prekeys in it: the request was bad.
    #[error("too many one-time prekeys")]
    TooMany,
    /// The device has another identity key: it was installed anew, or somebody else speaks. The host decides, by its own
    /// registration of devices, and calls [`PrekeyStore::replace`].
    #[error("upload is under another identity key")]
    OtherIdentity,
    /// Under this id the prekey store has another public key: the device has lost its memory of what it published, and asks for
    /// [`PrekeyStore::replace`].
    #[error("prekey id stands for another key")]
    OtherKey,
    /// It is older than what is here: a copy that was delayed. A device that gets this answer again and again, since its
    /// database is an older copy, asks for [`PrekeyStore::replace`].
    #[error("upload is older than what is held")]
    Older,
}

impl PrekeyStore {
    /// One-time prekeys of each kind that a prekey store holds at most; more are passed over.
    pub const MAX_ONE_TIME: usize = 400;

    /// An empty one, for a device that the server knows.
    #[must_use]
    pub const fn new(address: Address, suite: Suite) -> Self {
        Self { address, suite, contents: None }
    }

    /// Whose prekeys these are.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The suite that they are for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The identity key of the device, once it has published.
    #[must_use]
    pub fn identity_key(&self) -> Option<&PublicKey> {
        self.contents.as_ref().map(|contents| &contents.identity_key)
    }

    /// Takes an upload: replaces the signed and last-resort prekeys, adds one-time ones. One that comes again changes nothing,
    /// and hands out nothing twice. Tell the device that it has arrived once the prekey store is stored, and only then.
    ///
    /// # Errors
    ///
    /// [`PrekeyStoreError`]. The prekey store is as it was.
    ///
    /// # Examples
    ///
    /// See [`PrekeyStore`].
    pub fn apply(&mut self, upload: &PrekeyUpload) -> Result<AppliedUpload, PrekeyStoreError> {
        self.check(upload)?;
        let mut contents = match &self.contents {
            None => Contents::of(upload),
            Some(held) if held.identity_key != upload.identity_key => return Err(PrekeyStoreError::OtherIdentity),
            Some(held) => held.clone(),
        };
        upload.verify()?;
        let applied = contents.take(upload)?;
        self.contents = Some(contents);
        Ok(applied)
    }

    /// Takes an upload in the place of everything that is here, also under another identity key, and forgets which ids were
    /// used: for a device that was installed anew, or has lost its memory of what it published. Never do so on the word of an
    /// upload alone: an old copy of one would put back keys that nobody holds any more. The host calls this where it has
    /// registered the device anew, or the device has said that it was refused and means it.
    ///
    /// # Errors
    ///
    /// [`PrekeyStoreError`], but for what it overrides. The prekey store is as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use subrosa::platform::{PrekeyStore, PrekeyStoreError};
    /// # let upload = |(client, db): (Client, Memory)| {
    /// #     client.publish_prekeys(PrekeyCounts::default()).stage(&db, NOW, &mut rng()).unwrap().committed().remove(0)
    /// # };
    /// # let (before, reinstalled) = (upload(account("alice")), upload(account("alice")));
    /// let mut prekey_store = PrekeyStore::new(before.address.clone(), before.suite);
    /// prekey_store.apply(&before)?;
    /// assert_eq!(prekey_store.apply(&reinstalled), Err(PrekeyStoreError::OtherIdentity));
    /// // The server has registered the device anew:
    /// prekey_store.replace(&reinstalled)?;
    /// assert_eq!(prekey_store.identity_key(), Some(&reinstalled.identity_key));
    /// # Ok(())
    /// # }
    /// ```
    pub fn replace(&mut self, upload: &PrekeyUpload) -> Result<AppliedUpload, PrekeyStoreError> {
        let mut fresh = Self::new(self.address.clone(), self.suite);
        let applied = fresh.apply(upload)?;
        *self = fresh;
        Ok(applied)
    }

    /// Hands out a bundle for one new session, with the oldest one-time prekeys while there are any; `None` before the first
    /// upload. Store the prekey store before the bundle goes out.
    ///
    /// # Examples
    ///
    /// See [`PrekeyStore`].
    pub fn claim(&mut self) -> Option<UnverifiedBundle> {
        let contents = self.contents.as_mut()?;
        let one_time_kem = contents.one_time_kem.pop_front();
        Some(UnverifiedBundle {
            suite: self.suite,
            address: self.address.clone(),
            registration_id: contents.registration_id,
            identity_key: contents.identity_key,
            signed_prekey: contents.signed.clone(),
            kem_is_last_resort: one_time_kem.is_none(),
            kem_prekey: one_time_kem.unwrap_or_else(|| contents.last_resort.clone()),
            one_time_prekey: contents.one_time.pop_front(),
        })
    }

    /// How many one-time prekeys are left: what the device asks before it publishes.
    #[must_use]
    pub fn counts(&self) -> PrekeyCounts {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.contents.as_ref().map_or_else(PrekeyCounts::default, |contents| PrekeyCounts {
            one_time: count(contents.one_time.len()),
            one_time_kem: count(contents.one_time_kem.len()),
        })
    }

    /// What can be said against an upload without looking at what is here.
    fn check(&self, upload: &PrekeyUpload) -> Result<(), PrekeyStoreError> {
        let PrekeyUpload { suite, address, signed, last_resort, one_time, one_time_kem, .. } = upload;
        if *address != self.address {
            return Err(PrekeyStoreError::OtherDevice);
        }
        if *suite != self.suite {
            return Err(PrekeyStoreError::OtherSuite);
        }
        if one_time.len().max(one_time_kem.len()) > PrekeyUpload::MAX_ONE_TIME {
            return Err(PrekeyStoreError::TooMany);
        }
        let mut offers = one_time_kem.iter().map(|prekey| prekey.suites).chain([signed.suites, last_resort.suites]);
        if offers.all(|suites| suites.contains(*suite)) { Ok(()) } else { Err(PrekeyStoreError::SuiteNotOffered) }
    }
}

/// What a signed or last-resort prekey is to the one that is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The same, perhaps made fresh.
    Same,
    Next,
}

/// A device counts its ids up: a higher one is the next, whatever the dates say, which are of a clock that may have been wrong.
/// Only one that has lost count, and knows it, begins elsewhere: then it replaces all that is here.
fn place<K: PartialEq>(
    held: &PublishedPrekey<K>,
    new: &PublishedPrekey<K>,
    taken: &Taken,
    replaces: bool,
) -> Result<Place, PrekeyStoreError> {
    if new.id == held.id {
        if new.key != held.key {
            return Err(PrekeyStoreError::OtherKey);
        }
        return if new.created < held.created { Err(PrekeyStoreError::Older) } else { Ok(Place::Same) };
    }
    let is_next = !taken.contains(new.id) && (replaces || new.id > held.id);
    if is_next { Ok(Place::Next) } else { Err(PrekeyStoreError::Older) }
}

impl Contents {
    fn of(upload: &PrekeyUpload) -> Self {
        Self {
            registration_id: upload.registration_id,
            identity_key: upload.identity_key,
            signed: upload.signed.clone(),
            last_resort: upload.last_resort.clone(),
            one_time: VecDeque::new(),
            one_time_kem: VecDeque::new(),
            taken: AllTaken::default(),
        }
    }

    fn take(&mut self, upload: &PrekeyUpload) -> Result<AppliedUpload, PrekeyStoreError> {
        let PrekeyUpload { signed, last_resort, one_time, one_time_kem, replaces_one_time, .. } = upload;
        let places = [
            place(&self.signed, signed, &self.taken.signed, *replaces_one_time)?,
            place(&self.last_resort, last_resort, &self.taken.last_resort, *replaces_one_time)?,
        ];
        let is_news = places.contains(&Place::Next)
            || one_time.iter().any(|(id, _)| !self.taken.one_time.contains(*id))
            || one_time_kem.iter().any(|prekey| !self.taken.one_time_kem.contains(prekey.id));
        // Not a copy of one that was taken: that one's keys are what there is.
        if *replaces_one_time && is_news {
            self.one_time.clear();
            self.one_time_kem.clear();
        }
        (self.signed, self.last_resort) = (signed.clone(), last_resort.clone());
        self.registration_id = upload.registration_id;
        self.taken.signed.insert(signed.id);
        self.taken.last_resort.insert(last_resort.id);
        Ok(AppliedUpload {
            one_time: put(&mut self.one_time, one_time, &mut self.taken.one_time, |(id, _)| *id)?,
            one_time_kem: put(&mut self.one_time_kem, one_time_kem, &mut self.taken.one_time_kem, |prekey| prekey.id)?,
        })
    }
}

/// Puts those on the prekey store that it never had, and says how many.
fn put<T: Clone + SameKey>(
    prekey_store: &mut VecDeque<T>,
    new: &[T],
    taken: &mut Taken,
    id: impl Fn(&T) -> PrekeyId,
) -> Result<u32, PrekeyStoreError> {
    let mut put = 0;
    for prekey in new {
        if taken.contains(id(prekey)) {
            let held = prekey_store.iter().find(|held| id(held) == id(prekey));
            if held.is_some_and(|held| !held.is_same_key(prekey)) {
                return Err(PrekeyStoreError::OtherKey);
            }
        } else if prekey_store.len() < PrekeyStore::MAX_ONE_TIME {
            taken.insert(id(prekey));
            prekey_store.push_back(prekey.clone());
            put += 1;
        }
    }
    Ok(put)
}

/// Prekeys of the same id are the same if their keys are: a signature is drawn anew each time.
trait SameKey {
    fn is_same_key(&self, other: &Self) -> bool;
}

impl SameKey for (PrekeyId, PublicKey) {
    fn is_same_key(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl SameKey for PublishedPrekey<KemPublicKey> {
    fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl PrekeyStore {
    /// The stored form: at most 700 kB, 175 kB with 100 one-time prekeys of each kind (docs/server.md).
    ///
    /// # Examples
    ///
    /// See [`PrekeyStore`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = self.counts();
        let kem = usize::try_from(counts.one_time_kem).unwrap_or_default();
        let mut out = FieldWriter::record(RecordKind::PrekeyStore, 4096 + (kem + 1) * 1760);
        out.number(1, self.suite.number());
        write_address(&mut out, 2, &self.address);
        if let Some(contents) = &self.contents {
            out.message(3, |out| contents.write(out));
        }
        // There even if it is 0: a record cut short at the boundary of a field is seen to be.
        out.optional(4, Some(u8::from(self.contents.is_some())));
        out.into_public()
    }

    /// Takes the stored form. No signature is checked again: it is the server's own database.
    ///
    /// # Errors
    ///
    /// [`RecordError::Newer`]: update the server, and do not write over it. [`RecordError::Corrupt`]: drop it, as if the device
    /// had never published; it brings prekeys when it hears that there are none.
    ///
    /// # Examples
    ///
    /// See [`PrekeyStore`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::PrekeyStore, bytes)?;
        let suite = Suite::from_number(fields.small(1)?).ok_or(RecordError::Corrupt)?;
        let address = read_address(&mut fields, 2)?;
        let contents = fields.message(3)?.map(|contents| Contents::read(contents, suite)).transpose()?;
        let has_contents: u8 = fields.some_number(4)?;
        fields.end()?;
        if has_contents == u8::from(contents.is_some()) {
            Ok(Self { address, suite, contents })
        } else {
            Err(RecordError::Corrupt)
        }
    }
}

impl Contents {
    fn write(&self, out: &mut FieldWriter) {
        let Self { registration_id, identity_key, signed, last_resort, one_time, one_time_kem, taken } = self;
        out.number(1, registration_id.get());
        out.bytes(2, &identity_key.to_bytes());
        write_signed(out, 3, signed);
        write_kem(out, 4, last_resort);
        one_time.iter().for_each(|prekey| write_one_time(out, 5, prekey));
        one_time_kem.iter().for_each(|prekey| write_kem(out, 6, prekey));
        out.bytes(7, &taken.one_time.to_bytes());
        out.bytes(8, &taken.one_time_kem.to_bytes());
        out.bytes(9, &taken.last_resort.to_bytes());
        out.bytes(10, &taken.signed.to_bytes());
    }

    fn read(mut fields: FieldReader<'_>, suite: Suite) -> Result<Self, RecordError> {
        let contents = Self {
            registration_id: RegistrationId::new(fields.small(1)?),
            identity_key: read_public_key(&mut fields, 2)?,
            signed: read_signed(fields.some_message(3)?, suite)?,
            last_resort: read_kem(fields.some_message(4)?, suite)?,
            one_time: read_all(&mut fields, 5, PrekeyStore::MAX_ONE_TIME, read_one_time)?.into(),
            one_time_kem: read_all(&mut fields, 6, PrekeyStore::MAX_ONE_TIME, |fields| read_kem(fields, suite))?.into(),
            taken: AllTaken {
                one_time: Taken::from_bytes(fields.bytes(7)?)?,
                one_time_kem: Taken::from_bytes(fields.bytes(8)?)?,
                last_resort: Taken::from_bytes(fields.bytes(9)?)?,
                signed: Taken::from_bytes(fields.bytes(10)?)?,
            },
        };
        fields.end()?;
        // What is here was taken: otherwise it could be taken again.
        let taken = &contents.taken;
        let whole = taken.signed.contains(contents.signed.id)
            && taken.last_resort.contains(contents.last_resort.id)
            && contents.one_time.iter().all(|(id, _)| taken.one_time.contains(*id))
            && contents.one_time_kem.iter().all(|prekey| taken.one_time_kem.contains(prekey.id));
        if whole { Ok(contents) } else { Err(RecordError::Corrupt) }
    }
}

#[cfg(test)]
mod tests;
