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

#[derive(Default)]
struct Memory(RefCell<BTreeMap<RecordKey, Row>>);

impl Store for Memory {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        Ok(keys.iter().map(|key| self.0.borrow().get(key).cloned()).collect())
    }
}

impl Memory {
    fn write(&self, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
        let mut rows = self.0.borrow().clone();
        batch.apply(|change| {
            if rows.get(change.key()).map(|row| row.version) != change.expect() {
                return Ok(false);
            }
            match change {
                Change::Put { key, bytes, version, .. } => {
                    rows.insert(*key, Row { version: *version, bytes: bytes.clone() });
                }
                Change::Delete { key, .. } => {
                    rows.remove(key);
                }
                _ => {}
            }
            Ok(true)
        })?;
        *self.0.borrow_mut() = rows;
        Ok(())
    }
}

#[allow(dead_code, reason = "not every example uses all of it")]
fn account(name: &str) -> (Client, Memory) {
    let (db, address) = (Memory::default(), Address::new(UserId::new(name).unwrap(), DeviceId::new(1)));
    let created = Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&db, NOW, &mut rng()).unwrap();
    let client = created.commit(|batch, _| db.write(batch)).unwrap().client;
    (client, db)
}

#[allow(dead_code, reason = "not every example uses all of it")]
fn published(client: &Client, db: &Memory) -> UnverifiedBundle {
    let uploads = client.publish_prekeys(PrekeyCounts::default()).stage(db, NOW, &mut rng()).unwrap();
    let upload = uploads.commit(|batch, _| db.write(batch)).unwrap().remove(0);
    upload.bundle(upload.one_time.first(), upload.one_time_kem.first())
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
    let added = alice.add_session(&bundle).stage(&alice_db, NOW, &mut rng()).unwrap();
    added.commit(|batch, _| alice_db.write(batch)).unwrap();
    let alice_key = StorageKey::new([7; 32]);
    Talking { alice, alice_db, alice_key, bob, bob_db, now: NOW, rng: rng() }
}
