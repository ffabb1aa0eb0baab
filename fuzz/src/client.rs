//! A client over any records, sealed as they should be, given any envelopes: nothing panics, and work is bounded.
//!
//! The bytes: which row, how long a record to put there, the record; then an envelope, or the number of a good one.

use std::sync::LazyLock;

use subrosa::client::{Client, Task};
use subrosa::ident::{Address, DeviceId, MessageId, MessageName, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::prekey::Bundle;
use subrosa::session::Ciphertext;
use subrosa::staging::{Staged, Store as _};
use subrosa::suite::Suites;
use subrosa::testing::{Forge, Host, MemoryStore, Relay, SeededRng, Snapshot};
use subrosa::wire::Envelope;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

struct World {
    client: Client,
    forge: Forge,
    rows: Snapshot,
    bundle: Bundle,
    /// In order, late, in an archived session, of a stranger.
    envelopes: Vec<Envelope>,
}

static WORLDS: LazyLock<[World; 2]> = LazyLock::new(|| [world(Suites::V1), world(Suites::SIGNAL)]);

fn address(name: &str) -> Address {
    Address::new(UserId::new(name).unwrap(), DeviceId::new(1))
}

fn host(name: &str, suites: Suites, seed: u64, relay: &mut Relay) -> Host {
    let mut host = Host::create(&address(name), suites, StorageKey::new([7; 32]), seed, NOW);
    host.attend(relay, NOW).unwrap();
    host
}

fn write(host: &mut Host, to: &str, relay: &mut Relay) -> Envelope {
    host.write_draft(&address(to), b"text");
    host.send_drafts(relay, NOW).unwrap();
    let outgoing = host.outbox().pop().unwrap();
    host.posted(outgoing.id());
    outgoing.envelope().clone()
}

/// Carol cannot read what alice has answered, and asks for it; alice asks for something as well.
fn ask(alice: &mut Host, suites: Suites, relay: &mut Relay) {
    let mut carol = host("carol", suites, 6, relay);
    let (hers, names) = (address("alice"), [MessageName::new([7; 32])]);
    let first = write(&mut carol, "alice", relay);
    alice.receive(&first, NOW).unwrap();
    let answer = write(alice, "carol", relay);
    let name = Ciphertext::Message(answer.body).name().unwrap();
    carol.run(NOW, |client| client.ask_again(&hers, &[name]), |_, ()| {}).unwrap().unwrap();
    carol.bring(relay, NOW).unwrap();
    for question in carol.outbox() {
        alice.receive(question.envelope(), NOW).unwrap();
    }
    for peer in ["bob", "nobody"] {
        alice.run(NOW, |client| client.ask_again(&address(peer), &names), |_, ()| {}).unwrap().unwrap();
    }
}

fn world(suites: Suites) -> World {
    let mut relay = Relay::new();
    let mut alice = host("alice", suites, 1, &mut relay);
    let mut bob = host("bob", suites, 2, &mut relay);
    let first = write(&mut bob, "alice", &mut relay);
    alice.receive(&first, NOW).unwrap();
    let answer = write(&mut alice, "bob", &mut relay);
    bob.receive(&answer, NOW).unwrap();
    let old: Vec<_> = (0..3).map(|_| write(&mut bob, "alice", &mut relay)).collect();
    alice.receive(&old[2], NOW).unwrap();
    bob.reset(&address("alice"), NOW).unwrap().unwrap();
    let new: Vec<_> = (0..4).map(|_| write(&mut bob, "alice", &mut relay)).collect();
    alice.receive(&new[0], NOW).unwrap();
    alice.receive(&new[2], NOW).unwrap();
    ask(&mut alice, suites, &mut relay);
    let stranger = write(&mut host("dave", suites, 5, &mut relay), "alice", &mut relay);
    World {
        client: alice.client().clone(),
        forge: Forge::new(&StorageKey::new([7; 32]), alice.store()).unwrap(),
        rows: alice.store().snapshot(),
        bundle: relay.bundle(&address("bob")).unwrap().verify().unwrap(),
        envelopes: vec![new[3].clone(), new[1].clone(), old[0].clone(), stranger, first],
    }
}

/// See above.
pub fn client(data: &[u8]) -> bool {
    let Some(([which, row, len], rest)) = data.split_first_chunk::<3>() else { return false };
    let world = &WORLDS[usize::from(which % 2)];
    let store = MemoryStore::new();
    store.restore(&world.rows);
    let mut rng = SeededRng::new(9);
    let (record, rest) = rest.split_at(usize::from(*len).min(rest.len()));
    let rows = store.rows();
    let (key, before) = &rows[usize::from(*row) % rows.len()];
    if which & 2 == 0 {
        store.tamper(*key, Some(world.forge.seal(key, record, &mut rng)));
    } else if let Some(mut edited) = world.forge.open(key, before) {
        // The bytes are laid over the record: place, then what to combine.
        for pair in record.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([pair[0], pair[1]])) % edited.len().max(1);
            if let Some(byte) = edited.get_mut(at) {
                *byte ^= pair[2];
            }
        }
        store.tamper(*key, Some(world.forge.seal(key, &edited, &mut rng)));
    }
    let envelope = Envelope::parse(rest).ok();
    let good = rest.first().map_or(0, |at| usize::from(*at) % world.envelopes.len());
    let envelope = envelope.unwrap_or_else(|| world.envelopes[good].clone());
    let (client, bob) = (&world.client, address("bob"));
    let received = client.receive(&envelope).stage(&store, NOW, &mut rng);
    let accepted = received.is_ok();
    if let Ok(staged) = received {
        store.write(staged.batch()).unwrap();
        // What was written can be read again.
        let keys: Vec<_> = staged.batch().changes().iter().map(|change| *change.key()).collect();
        assert_eq!(store.load(&keys).unwrap().len(), keys.len());
    }
    drop(client.receive_many(&world.envelopes).stage(&store, NOW, &mut rng));
    drop(client.send(MessageId::new([9; 16]), &bob, b"hi").stage(&store, NOW, &mut rng));
    drop(client.add_session(&world.bundle).stage(&store, NOW, &mut rng));
    drop(client.reset(&bob).stage(&store, NOW, &mut rng));
    for want in client.todo().stage(&store, NOW, &mut rng).map(Staged::committed).unwrap_or_default() {
        if let Task::Resend { address, message_id } = want {
            drop(client.resend(message_id, &address, b"other text").stage(&store, NOW, &mut rng));
            drop(client.decline_resend(message_id, &address).stage(&store, NOW, &mut rng));
        }
    }
    drop(client.ask_again(&bob, &[MessageName::new([8; 32])]).stage(&store, NOW, &mut rng));
    drop(client.withdraw_wish(&bob).stage(&store, NOW, &mut rng));
    drop(client.maintain().stage(&store, NOW, &mut rng));
    drop(client.accept_identity(&bob, world.bundle.identity_key()).stage(&store, NOW, &mut rng));
    drop(client.forget_device(&bob).stage(&store, NOW, &mut rng));
    drop(client.prune(rows.iter().map(|(key, _)| key.as_bytes()[1]).max().unwrap_or(0)).stage(&store, NOW, &mut rng));
    accepted
}

/// Every row with a record of nothing, an altered one, and every good envelope.
pub fn client_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..10).map(|row| vec![row % 4, row * 23, 6, 0, 3, 1, 0, 9, 2, row]).collect();
    seeds.extend((0..5).map(|at| vec![2, 0, 0, at]));
    seeds.extend((0..5).map(|at| vec![3, 0, 0, at]));
    seeds
}
