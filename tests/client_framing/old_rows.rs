//! Rows put back one at a time, by somebody who can write a database and open nothing of it: nobody honest looks guilty, and
//! nothing honest is refused.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use subrosa::report::{Evidence, OwnStampError};
use subrosa::wire::RecordKind;

use super::*;

const PEER: u8 = RecordKind::Peer.number();
const FRAMING: u8 = RecordKind::Framing.number();

type Rows = BTreeMap<RecordKey, Row>;

/// A device, and everything that its host keeps of framed messages.
struct Device {
    client: Client,
    db: Memory,
    evidence: Vec<(Evidence, Vec<Part>)>,
    sent: u64,
    old_rows: Vec<RecordKind>,
}

impl Device {
    fn new(name: &str, device: u32) -> Self {
        let (db, address) = (Memory::default(), Address::new(UserId::new(name).unwrap(), DeviceId::new(device)));
        let created =
            Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&db, NOW, &mut rng()).unwrap();
        let client = created.commit(|batch, _| db.write(batch)).unwrap().client;
        let client = client.with_framing(FramingPolicy::default());
        Self { client, db, evidence: Vec::new(), sent: 0, old_rows: Vec::new() }
    }

    fn run<T, E: std::fmt::Debug>(&self, operation: Operation<T, E>) -> T {
        let staged = operation.stage(&self.db, NOW, &mut rng()).unwrap();
        staged.commit(|batch, _| self.db.write(batch)).unwrap()
    }

    fn meet(&self, other: &Self) {
        let bundle = published(&other.client, &other.db).verify().unwrap();
        for repair in self.run(self.client.add_session(&bundle)).repair {
            let _ = receive(&other.client, &other.db, repair.envelope());
        }
    }

    /// Frames, submits, and takes the stamp.
    fn post(&mut self, platform: &Platform, to: &Self, text: &str) -> Envelope {
        self.sent += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.sent.to_be_bytes());
        let parts = [Part::text(text)];
        let sent = self.run(self.client.send_framed(MessageId::new(id), to.client.address(), &parts));
        self.old_rows.extend(sent.old_row.map(|old| old.kind));
        let stamped =
            platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), self.client.address().user().as_str());
        let user = to.client.address().user();
        let own = self.run(self.client.own_stamp(user, &sent.evidence.unwrap(), stamped.stamp.as_ref().unwrap()));
        self.evidence.push((own.unwrap(), parts.to_vec()));
        stamped
    }

    /// What is read of it; `None` if the session does not open it.
    #[track_caller]
    fn get(&mut self, envelope: &Envelope) -> Option<FramedMessage> {
        match receive(&self.client, &self.db, envelope) {
            Ok(Received::Framed(message)) => {
                self.old_rows.extend(message.old_row.map(|old| old.kind));
                self.evidence.push((message.accepted.evidence.clone(), message.accepted.parts.clone()));
                Some(message)
            }
            Ok(Received::Unreadable(_)) => None,
            // A session that went back has used a number twice.
            Err(StageError::Operation(ReceiveError::Duplicate)) => None,
            other => panic!("{other:?}"),
        }
    }

    fn rows(&self, kind: u8) -> Rows {
        let rows = self.db.0.borrow();
        rows.iter().filter(|(key, _)| key.as_bytes()[0] == kind).map(|(key, row)| (*key, row.clone())).collect()
    }

    fn put_back(&self, rows: &Rows) {
        self.db.0.borrow_mut().extend(rows.iter().map(|(key, row)| (*key, row.clone())));
    }

    fn lose(&self, kind: u8) {
        self.db.0.borrow_mut().retain(|key, _| key.as_bytes()[0] != kind);
    }
}

/// What an account's devices have, as one report: whom it blames.
fn blamed(platform: &Platform, devices: &[&Device]) -> usize {
    let reporter = AccountTag::of(devices[0].client.address().user());
    let mut report = ReportBuilder::new(reporter);
    for (evidence, parts) in devices.iter().flat_map(|device| &device.evidence) {
        report.add(evidence, parts, Reveal::All).unwrap();
    }
    let verdict =
        verify_report(&platform.0, &Reporter::new(reporter), &report.build(), &ReportLimits::default()).unwrap();
    assert!(verdict.rejected.is_empty(), "{:?}", verdict.rejected);
    verdict.findings.iter().filter(|finding| finding.blames().is_some()).count()
}

fn pair() -> (Platform, Device, Device) {
    let (platform, mut alice, mut bob) = (Platform::new(), Device::new("alice", 1), Device::new("bob", 1));
    alice.meet(&bob);
    for _ in 0..2 {
        let post = alice.post(&platform, &bob, "a");
        bob.get(&post).unwrap();
        let post = bob.post(&platform, &alice, "b");
        alice.get(&post).unwrap();
    }
    (platform, alice, bob)
}

/// A turn each way.
fn turn(platform: &Platform, alice: &mut Device, bob: &mut Device) -> usize {
    let post = alice.post(platform, bob, "a");
    let read = usize::from(bob.get(&post).is_some());
    let post = bob.post(platform, alice, "b");
    read + usize::from(alice.get(&post).is_some())
}

/// The sender's row, the reader's, the row gone: the honest sender is read, and a report of everything blames nobody.
#[test]
fn a_framing_row_put_back() {
    for (is_sender, is_gone) in [(true, false), (true, true), (false, false), (false, true)] {
        let (platform, mut alice, mut bob) = pair();
        let side = |alice: &Device, bob: &Device| if is_sender { alice.rows(FRAMING) } else { bob.rows(FRAMING) };
        let old = side(&alice, &bob);
        assert_eq!(turn(&platform, &mut alice, &mut bob) + turn(&platform, &mut alice, &mut bob), 4);
        let victim = if is_sender { &alice } else { &bob };
        if is_gone {
            victim.lose(FRAMING)
        } else {
            victim.put_back(&old)
        }
        for _ in 0..3 {
            assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
        }
        let (told, silent) = if is_sender { (&alice, &bob) } else { (&bob, &alice) };
        assert_eq!((&told.old_rows[..], &silent.old_rows[..]), (&[RecordKind::Framing][..], &[][..]));
        assert_eq!((blamed(&platform, &[&alice]), blamed(&platform, &[&bob])), (0, 0));
    }
}

/// The other row of the two.
#[test]
fn a_peer_row_put_back() {
    for is_sender in [true, false] {
        let (platform, mut alice, mut bob) = pair();
        let old = if is_sender { alice.rows(PEER) } else { bob.rows(PEER) };
        turn(&platform, &mut alice, &mut bob);
        if is_sender {
            alice.put_back(&old)
        } else {
            bob.put_back(&old)
        }
        for _ in 0..4 {
            if turn(&platform, &mut alice, &mut bob) < 2 {
                // The session was repeated: hosts begin anew.
                alice.run(alice.client.reset(bob.client.address()));
                alice.meet(&bob);
            }
        }
        assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
        let told = if is_sender { &alice } else { &bob };
        assert_eq!(told.old_rows, [RecordKind::Peer]);
        assert_eq!((blamed(&platform, &[&alice]), blamed(&platform, &[&bob])), (0, 0));
    }
}

/// What went by in suite V1 without a frame touches one of the rows, and is no older row.
#[test]
fn plain_messages_between_are_no_old_rows() {
    let (platform, mut alice, mut bob) = pair();
    bob.client = bob.client.with_framing(FramingPolicy::default().with_unframed(UnframedContent::HandOver));
    for number in 0..3 {
        let plain = alice.run(alice.client.send(MessageId::new([200 + number; 16]), bob.client.address(), b"plain"));
        let received = receive(&bob.client, &bob.db, plain.outgoing().first().unwrap().envelope());
        assert!(matches!(received, Ok(Received::Message(message)) if message.lacks_frame()));
        assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
    }
    assert!(alice.old_rows.is_empty() && bob.old_rows.is_empty());
}

/// A device that was set up anew has another key; what was framed before under the same address goes on, and no row is old.
#[test]
fn an_accepted_identity_is_no_old_row() {
    let (platform, mut alice, _) = pair();
    let mut bob = Device::new("bob", 1);
    bob.meet(&alice);
    let post = bob.post(&platform, &alice, "me again");
    let IdentityStatus::Changed(key) = alice.get(&post).unwrap().identity else { panic!("another key, and not said") };
    alice.run(alice.client.accept_identity(bob.client.address(), &key));
    for _ in 0..2 {
        assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
    }
    assert!(alice.old_rows.is_empty() && bob.old_rows.is_empty());
    assert_eq!((blamed(&platform, &[&alice]), blamed(&platform, &[&bob])), (0, 0));
}

/// A reader who went back holds nothing against an honest writer who names what the reader has forgotten; a writer who claims
/// what was never sent is refused as before.
#[test]
fn what_was_forgotten_is_no_false_claim() {
    let (platform, mut alice, mut bob) = pair();
    let old = alice.rows(FRAMING);
    let post = alice.post(&platform, &bob, "forgotten by its writer");
    bob.get(&post).unwrap();
    alice.put_back(&old);
    // Bob's message names it.
    let post = bob.post(&platform, &alice, "I saw that");
    assert_eq!(bob.evidence.last().unwrap().0.header().seen().len(), 1);
    assert_eq!(alice.get(&post).unwrap().accepted.status, ChainStatus::Next);
    assert_eq!(alice.old_rows, [RecordKind::Framing]);
}

/// Two devices of one user share a row, and write it in turn: the row is put back to when the one was written last, and the
/// other knows nothing of it.
#[test]
fn two_devices_of_one_user() {
    for put_back_after in [0, 1] {
        let (platform, mut alice, mut bob) = pair();
        let mut tablet = Device::new("bob", 2);
        alice.meet(&tablet);
        turn(&platform, &mut alice, &mut tablet);
        turn(&platform, &mut alice, &mut bob);
        let old = alice.rows(FRAMING);
        for _ in 0..3 {
            assert_eq!(turn(&platform, &mut alice, if put_back_after == 0 { &mut tablet } else { &mut bob }), 2);
        }
        assert!(alice.old_rows.is_empty(), "devices in turn are no old rows");
        alice.put_back(&old);
        for _ in 0..2 {
            assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
            assert_eq!(turn(&platform, &mut alice, &mut tablet), 2);
        }
        assert_eq!(alice.old_rows, [RecordKind::Framing]);
        assert_eq!((blamed(&platform, &[&alice]), blamed(&platform, &[&bob, &tablet])), (0, 0));
    }
}

/// A stamp that comes after the row was put back still belongs to its message.
#[test]
fn a_stamp_for_a_chain_that_is_not_known_any_more() {
    let (platform, mut alice, mut bob) = pair();
    let old = alice.rows(FRAMING);
    let parts = [Part::text("x")];
    let sent = alice.run(alice.client.send_framed(MessageId::new([99; 16]), bob.client.address(), &parts));
    let stamped = platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), "alice");
    bob.get(&stamped).unwrap();
    alice.put_back(&old);
    let (user, evidence) = (bob.client.address().user(), sent.evidence.unwrap());
    let own = alice.run(alice.client.own_stamp(user, &evidence, stamped.stamp.as_ref().unwrap())).unwrap();
    assert!(own.stamp().is_some());
    assert_eq!(alice.run(alice.client.own_stamp(user, &evidence, &[1])), Err(OwnStampError::Malformed));
    alice.evidence.push((own, parts.to_vec()));
    assert_eq!(turn(&platform, &mut alice, &mut bob), 2);
    assert_eq!((blamed(&platform, &[&alice]), blamed(&platform, &[&bob])), (0, 0));
}

/// Any row of any device goes back to any moment, or is deleted, again and again, in a conversation of three devices. What is
/// read is as many messages as ever, once sessions are mended; nobody is blamed, and nothing is refused but by a session.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its environment")]
fn any_row_put_back_at_any_time() {
    let rounds =
        std::env::var("SUBROSA_SEED").ok().and_then(|seed| seed.parse().ok()).map_or(0..12, |seed| seed..seed + 1);
    for seed in rounds {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let (platform, alice, bob) = pair();
        let tablet = Device::new("bob", 2);
        alice.meet(&tablet);
        let mut devices = [alice, bob, tablet];
        let mut past: [Vec<Rows>; 3] = Default::default();
        let mut read = 0;
        for _ in 0..60 {
            for (device, past) in devices.iter().zip(&mut past) {
                past.push(device.db.0.borrow().clone());
            }
            let other = 1 + usize::try_from(dice.next_u32() % 2).unwrap();
            if dice.next_u32().is_multiple_of(6) {
                let victim = [0, other][usize::try_from(dice.next_u32() % 2).unwrap()];
                let before = &past[victim][usize::try_from(dice.next_u32()).unwrap() % past[victim].len()];
                let now = devices[victim].db.0.borrow().clone();
                // What a conversation is made of; skipped message keys and prekeys are their own rooms' matter.
                let kinds = [PEER, FRAMING, RecordKind::Sent.number(), RecordKind::Pin.number()];
                let changed: Vec<_> = now
                    .keys()
                    .filter(|key| kinds.contains(&key.as_bytes()[0]) && before.get(key) != now.get(key))
                    .copied()
                    .collect();
                if let Some(key) = changed.get(usize::try_from(dice.next_u32()).unwrap() % changed.len().max(1)) {
                    let mut rows = devices[victim].db.0.borrow_mut();
                    match before.get(key) {
                        Some(row) => rows.insert(*key, row.clone()),
                        None => rows.remove(key),
                    };
                }
            }
            let [alice, others @ ..] = &mut devices;
            let other = &mut others[other - 1];
            for from_alice in [true, false] {
                let (from, to) = if from_alice { (&mut *alice, &mut *other) } else { (&mut *other, &mut *alice) };
                let bundle = published(&to.client, &to.db).verify().unwrap();
                from.run(from.client.add_session(&bundle));
                let post = from.post(&platform, to, "honest");
                if to.get(&post).is_some() {
                    read += 1;
                } else {
                    // Hosts bring bundles for who cannot read; then what was lost is said again.
                    from.run(from.client.reset(to.client.address()));
                    from.meet(to);
                    let post = from.post(&platform, to, "honest");
                    read += usize::from(to.get(&post).is_some());
                }
            }
        }
        let [alice, bob, tablet] = &devices;
        assert_eq!(read, 120, "seed {seed}");
        assert_eq!(blamed(&platform, &[alice]), 0, "seed {seed}");
        assert_eq!(blamed(&platform, &[bob, tablet]), 0, "seed {seed}");
    }
}
