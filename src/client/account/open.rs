use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::Rng;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::crypto::Secret;
use crate::ident::Address;
use crate::persist::{Keys, RecordKey, StorageKey, VaultError, open_vault};
use crate::prekey::Device;
use crate::rows::Core;
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suites;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_address, write_address};

/// A counter that the host keeps where no backup reaches: in a phone's key store as "this device only", on a server's
/// local disk apart from the database. By it an older copy of the database is found.
///
/// It grows with every [`Client::open`] and [`Client::maintain`]; the host writes the new value after the commit, and
/// never a smaller one. A copy of the database made before the newest of these is found; one made after it is not.
///
/// # Examples
///
/// ```
/// use subrosa::client::RollbackCounter;
/// assert!(RollbackCounter::new(3) > RollbackCounter::new(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RollbackCounter(Option<u64>);

impl RollbackCounter {
    /// For a host that has no such place: a restored database is not found. Suite V1 still repeats no key; suite
    /// `Signal` may.
    pub const UNAVAILABLE: Self = Self(None);

    /// Takes the stored counter; 0 where there is none yet.
    #[must_use]
    pub const fn new(counter: u64) -> Self {
        Self(Some(counter))
    }

    /// The counter to be stored.
    #[must_use]
    pub const fn get(self) -> Option<u64> {
        self.0
    }
}

/// An opened client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened {
    /// The client.
    pub client: Client,
    /// What the host stores after the commit.
    pub rollback_counter: RollbackCounter,
    /// Whether the account was made just now. Where there should have been one, it is lost, and the user is told.
    pub is_new: bool,
    /// Whether the database is an older copy. Its sessions send no more; messages of suite V1 that are under way are
    /// still read. Tell the user that messages may be missing; what else is to be done [`Client::todo`] says.
    pub rolled_back: bool,
}

/// Why no account was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is one. Open it, or use an empty database.
    #[error("there is an account already")]
    Exists,
}

/// Why a client was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none in this database. Create an account.
    #[error("there is no account")]
    NoAccount,
    /// The database was sealed with another storage key. Find that; nothing is damaged.
    #[error("the storage key is another one")]
    WrongStorageKey,
    /// The account is another device's than the one that it was to be made for.
    #[error("the account is another device's")]
    OtherDevice,
    /// The vault is damaged or newer. Without it no other record opens.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// What the vault holds.
struct Vault {
    data_key: Secret<32>,
    instance: [u8; 16],
    address: Address,
    generation: u64,
    /// The counter that the host was told last.
    rollback_counter: u64,
    /// The highest one that it has ever shown: a smaller one is another host's.
    confirmed: u64,
}

impl Vault {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { data_key, instance, address, generation, rollback_counter, confirmed } = self;
        let mut out = FieldWriter::record(RecordKind::Vault, 400);
        out.bytes(1, data_key.expose());
        write_address(&mut out, 2, address);
        out.number(3, *generation);
        out.number(4, *rollback_counter);
        out.number(5, *confirmed);
        out.bytes(6, instance);
        out.finish().into()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Vault, bytes)?;
        let (data_key, address) = (Secret::new(*fields.array(1)?), read_address(&mut fields, 2)?);
        let (generation, rollback_counter, confirmed) = (fields.number(3)?, fields.number(4)?, fields.number(5)?);
        let instance = *fields.array(6)?;
        fields.end()?;
        Ok(Self { data_key, instance, address, generation, rollback_counter, confirmed })
    }

    fn into_core(self, storage_key: &StorageKey) -> Core {
        let Self { data_key, instance, address, generation, rollback_counter: _, confirmed: _ } = self;
        let keys = Arc::new(Keys::new(&data_key, instance));
        let account = keys.record_key(RecordKind::Account, &[]);
        Core { keys, account, storage_key: storage_key.clone(), address, generation, cache: None }
    }
}

const fn corrupt(error: RecordError) -> OpenError {
    OpenError::Stored(StoredError { kind: RecordKind::Vault, error })
}

fn read_vault(work: &mut Workspace<'_>, storage_key: &StorageKey) -> Result<Vault, Stop<OpenError>> {
    let row = work.row(RecordKey::VAULT)?.ok_or(OpenError::NoAccount)?;
    let opened = open_vault(storage_key, &row.version, row.sealed()).map_err(|error| match error {
        VaultError::WrongStorageKey => OpenError::WrongStorageKey,
        VaultError::Corrupt => corrupt(RecordError::Corrupt),
        VaultError::Newer(schema) => corrupt(RecordError::Newer(schema)),
    })?;
    Ok(Vault::from_bytes(&opened).map_err(corrupt)?)
}

impl Client {
    /// Makes an account: draws the identity key, the account key with a first roster that lists this device alone, and the key
    /// that all records are sealed with. Publish the roster and prekeys next.
    ///
    /// Without suite V1, and for a device of number 0, there is no roster: such a device is known by its identity key alone.
    ///
    /// # Errors
    ///
    /// [`CreateError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, now, mut rng) = (Memory::default(), NOW, rng());
    /// let alice = Address::new(UserId::new("alice")?, DeviceId::new(1));
    /// let opened = Client::create(&StorageKey::new([7; 32]), &alice, Suites::V1)
    ///     .run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(opened.client.address(), &alice);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(storage_key: &StorageKey, address: &Address, suites: Suites) -> Operation<Opened, CreateError> {
        let (storage_key, address) = (storage_key.clone(), address.clone());
        Operation::new("create", move |work| {
            let make = |work: &mut Workspace<'_>| Device::generate(address.clone(), &mut work.rng).with_suites(suites);
            create(work, &storage_key, make)
        })
    }

    /// Makes an account with an identity that exists already: of a host that kept its [`Device`] and its sessions itself, or
    /// that comes from another library.
    ///
    /// # Errors
    ///
    /// [`CreateError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, now, mut rng) = (Memory::default(), NOW, rng());
    /// let device = subrosa::prekey::Device::generate(Address::new(UserId::new("alice")?, DeviceId::new(1)), &mut rng);
    /// let opened = Client::adopt(&StorageKey::new([7; 32]), &device)
    ///     .run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(opened.client.address(), device.address());
    /// # Ok(())
    /// # }
    /// ```
    pub fn adopt(storage_key: &StorageKey, device: &Device) -> Operation<Opened, CreateError> {
        let (storage_key, device) = (storage_key.clone(), device.clone());
        Operation::new("adopt", move |work| create(work, &storage_key, |_| device.clone()))
    }

    /// Opens the account of this database, and finds out whether the database is an older copy.
    ///
    /// The client may be used before the commit, by a process that only reads. Without the commit a rollback is found
    /// again the next time.
    ///
    /// # Errors
    ///
    /// [`OpenError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice_db: db, alice_key: storage_key, now, mut rng, .. } = talking();
    /// # let mut keychain = now.get();
    /// let opened = Client::open(&storage_key, RollbackCounter::new(keychain))
    ///     .run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// keychain = opened.rollback_counter.get().unwrap().max(keychain);
    /// assert!(!opened.rolled_back);
    /// # assert_eq!(keychain, now.get() + 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(storage_key: &StorageKey, rollback_counter: RollbackCounter) -> Operation<Opened, OpenError> {
        let storage_key = storage_key.clone();
        Operation::new("open", move |work| open(work, &storage_key, rollback_counter))
    }

    /// Opens the account of this database, or makes one for this address where there is none: what a host does when it starts.
    /// [`Opened::is_new`] says which.
    ///
    /// # Errors
    ///
    /// [`OpenError`], when it is staged.
    ///
    /// # Security
    ///
    /// A database that was deleted is one without an account: the new one has another identity key, which others have to accept.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, now, mut rng, storage_key) = (Memory::default(), NOW, rng(), StorageKey::new([7; 32]));
    /// let alice = Address::new(UserId::new("alice")?, DeviceId::new(1));
    /// let mut start = |rollback_counter| {
    ///     Client::open_or_create(&storage_key, rollback_counter, &alice, Suites::V1).run(&db, now, &mut rng, |_, _| Ok(()))
    /// };
    /// let created = start(RollbackCounter::new(0))?;
    /// let opened = start(created.rollback_counter)?;
    /// assert!(created.is_new && !opened.is_new);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_or_create(
        storage_key: &StorageKey,
        rollback_counter: RollbackCounter,
        address: &Address,
        suites: Suites,
    ) -> Operation<Opened, OpenError> {
        let (storage_key, address) = (storage_key.clone(), address.clone());
        Operation::new("open_or_create", move |work| {
            if work.row::<OpenError>(RecordKey::VAULT)?.is_none() {
                let device = Device::generate(address.clone(), &mut work.rng).with_suites(suites);
                return Ok(make(work, &storage_key, &device));
            }
            let opened = open(work, &storage_key, rollback_counter)?;
            if *opened.client.address() == address { Ok(opened) } else { Err(OpenError::OtherDevice.into()) }
        })
    }
}

fn open(
    work: &mut Workspace<'_>,
    storage_key: &StorageKey,
    rollback_counter: RollbackCounter,
) -> Result<Opened, Stop<OpenError>> {
    let mut vault = read_vault(work, storage_key)?;
    // A host that has no rollback counter neither finds a rollback nor makes another process find one.
    let Some(counter) = rollback_counter.0 else {
        let client = Client::new(vault.into_core(storage_key));
        return Ok(Opened {
            client,
            rollback_counter: RollbackCounter::UNAVAILABLE,
            is_new: false,
            rolled_back: false,
        });
    };
    // Above what the vault has told: the vault is older. Below what it was shown: on another machine, or after a reset.
    // Between the two: hosts have died between the commit and the storing of the rollback counter.
    let rolled_back = counter > vault.rollback_counter || counter < vault.confirmed;
    vault.generation = vault.generation.saturating_add(u64::from(rolled_back));
    vault.confirmed = vault.confirmed.max(counter);
    vault.rollback_counter = vault.rollback_counter.max(counter).saturating_add(1);
    if rolled_back {
        vault.confirmed = counter;
    }
    work.put_vault(storage_key, &vault.to_bytes());
    let rollback_counter = RollbackCounter::new(vault.rollback_counter);
    Ok(Opened { client: Client::new(vault.into_core(storage_key)), rollback_counter, is_new: false, rolled_back })
}

impl Client {
    /// Seals the vault with another storage key: one row, since all others are sealed with the key in it.
    ///
    /// # Errors
    ///
    /// [`OpenError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever copied the vault and has the old storage key keeps what was in the database then, and the key that later
    /// rows are sealed with. After a theft, make a new account.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice_db: db, alice_key: old, now, mut rng, .. } = talking();
    /// let new = StorageKey::new([9; 32]);
    /// Client::change_storage_key(&old, &new).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(Client::open(&old, RollbackCounter::UNAVAILABLE).stage(&db, now, &mut rng).is_err());
    /// assert!(Client::open(&new, RollbackCounter::UNAVAILABLE).stage(&db, now, &mut rng).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_storage_key(old: &StorageKey, new: &StorageKey) -> Operation<(), OpenError> {
        let (old, new) = (old.clone(), new.clone());
        Operation::new("change_storage_key", move |work| {
            let vault = read_vault(work, &old)?;
            work.put_vault(&new, &vault.to_bytes());
            Ok(())
        })
    }
}

impl Core {
    /// Advances the rollback counter; a vault that another process has wiped or rolled back stays as it is.
    pub(in crate::client) fn advance_rollback_counter(
        &self,
        work: &mut Workspace<'_>,
    ) -> Result<Option<RollbackCounter>, Stop<OpenError>> {
        let mut vault = read_vault(work, &self.storage_key)?;
        if vault.generation != self.generation {
            return Ok(None);
        }
        vault.rollback_counter = vault.rollback_counter.saturating_add(1);
        work.put_vault(&self.storage_key, &vault.to_bytes());
        Ok(Some(RollbackCounter(Some(vault.rollback_counter))))
    }
}

fn create(
    work: &mut Workspace<'_>,
    storage_key: &StorageKey,
    device: impl FnOnce(&mut Workspace<'_>) -> Device,
) -> Result<Opened, Stop<CreateError>> {
    if work.row(RecordKey::VAULT)?.is_some() {
        return Err(CreateError::Exists.into());
    }
    let device = device(work);
    Ok(make(work, storage_key, &device))
}

/// Makes an account where there is none, with a first roster.
fn make(work: &mut Workspace<'_>, storage_key: &StorageKey, device: &Device) -> Opened {
    make_with(work, storage_key, device, |core, work| core.make_account(work, device))
}

/// Makes what a client is, where there is none, with the account that the device is to stand in.
pub(super) fn make_with(
    work: &mut Workspace<'_>,
    storage_key: &StorageKey,
    device: &Device,
    account: impl FnOnce(&Core, &mut Workspace<'_>),
) -> Opened {
    let mut instance = [0; 16];
    work.rng.fill_bytes(&mut instance);
    let data_key = Secret::random(&mut work.rng);
    // Above whatever an earlier account on this machine came to, which the host keeps.
    let rollback_counter = work.now.get().max(1);
    let vault =
        Vault { data_key, instance, address: device.address().clone(), generation: 1, rollback_counter, confirmed: 0 };
    work.put_vault(storage_key, &vault.to_bytes());
    let core = vault.into_core(storage_key);
    // Under a key that nobody has ever derived: there can be no such row.
    work.put_new(&core.keys, core.device_key(), device.to_bytes());
    account(&core, work);
    Opened {
        client: Client::new(core),
        rollback_counter: RollbackCounter::new(rollback_counter),
        is_new: true,
        rolled_back: false,
    }
}
