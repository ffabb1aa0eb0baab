//! Framed messages through the client: what is shown can be reported, and what cannot be is not shown.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::allow_attributes_without_reason, reason = "what the examples of the documentation share is short")]

include!("support/clientdoc.rs");

#[path = "client_framing/chains.rs"]
mod chains;
#[path = "client_framing/deletion.rs"]
mod deletion;
#[path = "client_framing/old_rows.rs"]
mod old_rows;
#[path = "client_framing/settings.rs"]
mod settings;
#[path = "client_framing/sizes.rs"]
mod sizes;

use std::cell::Cell;

use subrosa::platform::{ReportLimits, Reporter, StampKeys, stamp, verify_report};
use subrosa::report::{
    AccountTag, ChainStatus, Commitment, Destination, FrameError, FramingPolicy, Part, ReportBuilder, Reveal,
    StampContext, UnframedContent,
};

/// Its keys, and its clock.
struct Platform(StampKeys, Cell<u64>);

impl Platform {
    fn new() -> Self {
        let mut keys = StampKeys::default();
        keys.generate(1, &mut rng()).unwrap();
        Self(keys, Cell::new(NOW.get()))
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.1.get())
    }

    /// Stamps an envelope for the account that submits it, a second after the one before.
    fn stamp(&self, envelope: &Envelope, submitter: &str) -> Envelope {
        let sender = AccountTag::of(&UserId::new(submitter).unwrap());
        let dest = Destination::Direct(AccountTag::of(envelope.to.user()));
        self.1.set(self.1.get() + 1_000);
        let context = StampContext { sender, dest, time: self.now(), conv_seq: 0 };
        let stamp = stamp(&self.0, 1, &Commitment::new(envelope.commitment.unwrap()), &context).unwrap();
        Envelope { stamp: Some(stamp.to_bytes().to_vec()), ..envelope.clone() }
    }
}

fn send(from: &Client, db: &Memory, to: &Address, id: u8, text: &str) -> FramedSent {
    send_parts(from, db, to, id, &[Part::text(text)])
}

fn send_parts(from: &Client, db: &Memory, to: &Address, id: u8, parts: &[Part]) -> FramedSent {
    let staged = from.send_framed(MessageId::new([id; 16]), to, parts).stage(db, NOW, &mut rng()).unwrap();
    staged.commit(|batch, _| db.write(batch)).unwrap()
}

type Refused = StageError<ReceiveError, Infallible>;

fn receive(client: &Client, db: &Memory, envelope: &Envelope) -> Result<Received, Refused> {
    let staged = client.receive(envelope).stage(db, NOW, &mut rng())?;
    Ok(staged.commit(|batch, _| db.write(batch)).unwrap())
}

fn framed(received: Result<Received, Refused>) -> FramedMessage {
    match received.unwrap() {
        Received::Framed(message) => message,
        other => panic!("{other:?}"),
    }
}

/// T16: a stamp that is missing, garbled or of another account refuses the copy, changes nothing, and leaves the genuine
/// one to be accepted.
#[test]
fn copies_without_their_stamp_change_nothing() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, bob) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let sent = send(&alice, &alice_db, bob.address(), 1, "hello");
    let bare = sent.sent.outgoing().first().unwrap().envelope().clone();
    let stamped = platform.stamp(&bare, "alice");
    let garbled = Envelope { stamp: Some(vec![2; 119]), ..bare.clone() };
    let accomplice = platform.stamp(&bare, "mallory");
    let rows = bob_db.0.borrow().clone();
    for (copy, expected) in [
        (&bare, FrameError::MissingStamp),
        (&garbled, FrameError::GarbledStamp),
        (&accomplice, FrameError::StampContext),
    ] {
        match receive(&bob, &bob_db, copy) {
            Err(StageError::Operation(ReceiveError::Frame(error))) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
        assert!(*bob_db.0.borrow() == rows, "a refused copy left a trace");
    }
    let message = framed(receive(&bob, &bob_db, &stamped));
    assert_eq!((message.accepted.parts, message.accepted.status), (vec![Part::text("hello")], ChainStatus::Next));
    match receive(&bob, &bob_db, &stamped) {
        Err(StageError::Operation(ReceiveError::Duplicate)) => {}
        other => panic!("{other:?}"),
    }
}

/// T15: in a framed conversation the application's plain bytes are not shown; without framing, framed ones are not.
#[test]
fn nothing_slips_past_the_frame() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, with) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let framed_from_now = bob.set_framing(alice.address().user(), true).stage(&bob_db, NOW, &mut rng()).unwrap();
    framed_from_now.commit(|batch, ()| bob_db.write(batch)).unwrap();
    let plain = alice.send(MessageId::new([7; 16]), bob.address(), b"a sticker").stage(&alice_db, NOW, &mut rng());
    let plain = plain.unwrap().commit(|batch, _| alice_db.write(batch)).unwrap();
    let plain = plain.outgoing().first().unwrap().envelope();
    assert!(matches!(receive(&with, &bob_db, plain), Err(StageError::Operation(ReceiveError::Unframed))));
    // A commitment put on it by somebody between does not help: it does not open.
    let dressed = platform.stamp(&Envelope { commitment: Some([9; 32]), ..plain.clone() }, "alice");
    assert!(!matches!(receive(&with, &bob_db, &dressed), Ok(Received::Message(_) | Received::Framed(_))));
    let sent = send(&alice, &alice_db, bob.address(), 8, "framed");
    let stamped = platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), "alice");
    assert!(matches!(receive(&bob, &bob_db, &stamped), Err(StageError::Operation(ReceiveError::Unsupported))));
    // Nor does taking its frame off.
    let bare = Envelope { commitment: None, stamp: None, ..stamped.clone() };
    assert!(!matches!(receive(&bob, &bob_db, &bare), Ok(Received::Message(_) | Received::Framed(_))));
    assert_eq!(framed(receive(&with, &bob_db, &stamped)).accepted.parts, [Part::text("framed")]);
}

/// A sent message that is staged again gives nothing: its envelope and its evidence were stored the first time.
#[test]
fn repeated_sending_frames_once() {
    let Talking { alice, alice_db, bob, .. } = talking();
    let first = send(&alice, &alice_db, bob.address(), 1, "hello");
    let again = send(&alice, &alice_db, bob.address(), 1, "hello");
    assert!(!first.sent.repeated && !first.inner.is_empty());
    assert!(
        again.sent.repeated && again.sent.outgoing().is_empty() && again.evidence.is_none() && again.inner.is_empty()
    );
    let other = [Part::text("another")];
    let other = alice.send_framed(MessageId::new([1; 16]), bob.address(), &other).stage(&alice_db, NOW, &mut rng());
    assert!(matches!(other, Err(StageError::Operation(SendError::IdReused))));
}

/// What both wrote, received through the client, makes a report that verifies; after a restore a new chain begins, and
/// nobody is blamed.
#[test]
fn a_conversation_is_reported() {
    let Talking { alice, alice_db, alice_key, bob, bob_db, .. } = talking();
    let (platform, policy) = (Platform::new(), FramingPolicy::default());
    let (mut alice, bob) = (alice.with_framing(policy), bob.with_framing(policy));
    let mut report = ReportBuilder::new(AccountTag::of(bob.address().user()));
    let mut yesterday = None;
    for round in 0..6u8 {
        if round == 2 {
            yesterday = Some(alice_db.0.borrow().clone());
        }
        if round == 4 {
            // Alice's phone comes back from a backup.
            *alice_db.0.borrow_mut() = yesterday.take().unwrap();
            let opened = Client::open(&alice_key, RollbackCounter::new(NOW.get() + 9))
                .stage(&alice_db, NOW, &mut rng())
                .unwrap();
            let opened = opened.commit(|batch, _| alice_db.write(batch)).unwrap();
            assert!(opened.rolled_back);
            alice = opened.client.with_framing(policy);
            let bundle = published(&bob, &bob_db).verify().unwrap();
            let added = alice.add_session(&bundle).stage(&alice_db, NOW, &mut rng()).unwrap();
            assert!(added.commit(|batch, _| alice_db.write(batch)).unwrap().started);
        }
        let sent = send(&alice, &alice_db, bob.address(), round, &format!("threat {round}"));
        let message =
            framed(receive(&bob, &bob_db, &platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), "alice")));
        assert_eq!(message.accepted.status, ChainStatus::Next);
        report.add(&message.accepted.evidence, &message.accepted.parts, Reveal::All).unwrap();
        let parts = [Part::text("stop")];
        let answer = send(&bob, &bob_db, alice.address(), 100 + round, "stop");
        let stamped = platform.stamp(answer.sent.outgoing().first().unwrap().envelope(), "bob");
        let evidence = bob
            .own_stamp(alice.address().user(), &answer.evidence.unwrap(), stamped.stamp.as_ref().unwrap())
            .stage(&bob_db, NOW, &mut rng())
            .unwrap();
        let evidence = evidence.commit(|batch, _| bob_db.write(batch)).unwrap().unwrap();
        report.add(&evidence, &parts, Reveal::All).unwrap();
        assert_eq!(framed(receive(&alice, &alice_db, &stamped)).accepted.parts, parts);
    }
    let reporter = Reporter::new(AccountTag::of(bob.address().user()));
    let verdict = verify_report(&platform.0, &reporter, &report.build(), &ReportLimits::default()).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected.len()), (12, 0));
    assert!(verdict.findings.iter().all(|finding| finding.blames().is_none()), "{:?}", verdict.findings);
}
