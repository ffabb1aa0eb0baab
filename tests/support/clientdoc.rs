// What examples of the client share: a database in memory, two accounts that talk.

#[allow(unused_imports, reason = "not every example uses all of it")]
use {
    rand_core::UnwrapErr,
    std::{cell::RefCell, collections::BTreeMap, convert::Infallible},
    subrosa::{
        client::*,
        ident::{Address, DeviceId, MessageId, Timestamp, UserId},
        persist::{RecordKey, StorageKey},
        prekey::UnverifiedBundle,
        staging::*,
        suite::Suites,
        wire::Envelope,
    },
};

#[allow(dead_code, reason = "not every example uses all of it")]
const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

#[allow(dead_code, reason = "not every example uses all of it")]
fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// The host's own tables: what goes out.
#[derive(Clone, Default)]
struct Own {
    outbox: Vec<Vec<u8>>,
}

/// The library's rows, and the host's own ones beside them.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<RecordKey, Row>>, RefCell<Own>);

impl Store for Memory {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        Ok(keys.iter().map(|key| self.0.borrow().get(key).cloned()).collect())
    }
}

impl Database for Memory {
    type Transaction<'a> = Own;

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Own) -> Result<(), Infallible>,
    ) -> Result<(), ApplyError<Infallible>> {
        let (mut rows, mut tables) = (self.0.borrow().clone(), self.1.borrow().clone());
        batch.apply_to(&mut rows)?;
        own(&mut tables)?;
        (*self.0.borrow_mut(), *self.1.borrow_mut()) = (rows, tables);
        Ok(())
    }
}

#[allow(dead_code, reason = "not every example uses all of it")]
impl Memory {
    fn write(&self, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
        self.transact(batch, |_| Ok(()))
    }

    fn outbox(&self) -> Vec<Vec<u8>> {
        self.1.borrow().outbox.clone()
    }
}

#[allow(dead_code, reason = "not every example uses all of it")]
fn account(name: &str) -> (Client, Memory) {
    let (db, address) = (Memory::default(), Address::new(UserId::new(name).unwrap(), DeviceId::new(1)));
    let create = Client::create(&StorageKey::new([7; 32]), &address, Suites::V1);
    (create.run(&db, NOW, &mut rng(), |_, _| Ok(())).unwrap().client, db)
}

#[allow(dead_code, reason = "not every example uses all of it")]
fn published(client: &Client, db: &Memory) -> UnverifiedBundle {
    let publish = client.publish_prekeys(PrekeyCounts::default());
    let upload = publish.run(db, NOW, &mut rng(), |_, _| Ok(())).unwrap().remove(0);
    upload.bundle(upload.one_time.first(), upload.one_time_kem.first())
}

/// An account whose roster is published.
#[allow(dead_code, reason = "not every example uses all of it")]
fn person(name: &str) -> (Client, Memory) {
    let (client, db) = account(name);
    client.roster_published(1).run(&db, NOW, &mut rng(), |_, _| Ok(())).unwrap();
    (client, db)
}

/// What the directory has of an account.
#[allow(dead_code, reason = "not every example uses all of it")]
fn directory(client: &Client, db: &Memory) -> Vec<u8> {
    let roster = client.own_roster().run(db, NOW, &mut rng(), |_, _| Ok(())).unwrap().published.unwrap();
    subrosa::account::CarriedRoster::new(&roster, vec![]).to_bytes()
}

#[allow(dead_code, reason = "not every example uses all of it")]
struct Talking {
    alice: Client,
    alice_db: Memory,
    alice_key: StorageKey,
    bob: Client,
    bob_db: Memory,
    now: Timestamp,
    rng: UnwrapErr<getrandom::SysRng>,
}

#[allow(dead_code, reason = "not every example uses all of it")]
fn talking() -> Talking {
    let ((alice, alice_db), (bob, bob_db)) = (account("alice"), account("bob"));
    let bundle = published(&bob, &bob_db).verify().unwrap();
    alice.add_session(&bundle).run(&alice_db, NOW, &mut rng(), |_, _| Ok(())).unwrap();
    let alice_key = StorageKey::new([7; 32]);
    Talking { alice, alice_db, alice_key, bob, bob_db, now: NOW, rng: rng() }
}
