//! The state of chains through the client: many envelopes at once, restarts, and a sender who goes on with an older one.

use subrosa::platform::Finding;

use super::*;

/// A message of Alice's, stamped.
fn stamped(platform: &Platform, from: &Client, db: &Memory, to: &Client, id: u8, text: &str) -> Envelope {
    platform.stamp(
        send(from, db, to.address(), id, text).sent.outgoing().first().unwrap().envelope(),
        from.address().user().as_str(),
    )
}

fn commitment(envelope: &Envelope) -> Commitment {
    Commitment::new(envelope.commitment.unwrap())
}

/// Framed, unframed and spoilt envelopes in one staging: each fares as if it had come alone, and the chain goes on from
/// what was accepted.
#[test]
fn poisoned_envelopes_fail_alone() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, bob) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let framed: Vec<_> =
        (0..4u8).map(|id| stamped(&platform, &alice, &alice_db, &bob, id, &format!("framed {id}"))).collect();
    let plain = alice.send(MessageId::new([9; 16]), bob.address(), b"a sticker").stage(&alice_db, NOW, &mut rng());
    let plain =
        plain.unwrap().commit(|batch, _| alice_db.write(batch)).unwrap().outgoing().first().unwrap().envelope().clone();
    let bare = Envelope { stamp: None, ..framed[1].clone() };
    let accomplices = platform.stamp(&framed[1], "mallory");
    let mut torn = framed[2].clone();
    *torn.body.last_mut().unwrap() ^= 1;
    let crossed = Envelope { commitment: framed[0].commitment, ..framed[2].clone() };
    let inbox = [
        framed[0].clone(),
        plain,
        bare,
        accomplices,
        framed[1].clone(),
        torn,
        crossed,
        framed[1].clone(),
        framed[3].clone(),
        framed[2].clone(),
    ];
    let staged = bob.receive_many(&inbox).stage(&bob_db, NOW, &mut rng()).unwrap();
    let outcomes = staged.commit(|batch, _| bob_db.write(batch)).unwrap();
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(Received::Framed(message)) => Ok(Some((message.accepted.parts.clone(), message.accepted.status))),
            // Somebody between spoilt it: the session is to bring it again.
            Ok(Received::Unreadable(_)) => Ok(None),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.clone()),
        })
        .collect();
    let shown = |id: u8, status| Ok(Some((vec![Part::text(&format!("framed {id}"))], status)));
    assert_eq!(
        told,
        [
            shown(0, ChainStatus::Next),
            Err(ReceiveError::Unframed),
            Err(ReceiveError::Frame(FrameError::MissingStamp)),
            Err(ReceiveError::Frame(FrameError::StampContext)),
            shown(1, ChainStatus::Next),
            Ok(None),
            Ok(None),
            Err(ReceiveError::Duplicate),
            shown(3, ChainStatus::Gap { missing: 1 }),
            shown(2, ChainStatus::Late),
        ]
    );
    // What Bob's next message says to have seen is the newest of them, and nothing else.
    let answer = send(&bob, &bob_db, alice.address(), 50, "read");
    let evidence = answer.evidence.unwrap();
    let seen: Vec<_> = evidence.header().seen().iter().map(|seen| (seen.seq, seen.commitment)).collect();
    assert_eq!(seen, [(3, commitment(&framed[3]))]);
    // Each accepted one can be reported.
    let mut report = ReportBuilder::new(AccountTag::of(bob.address().user()));
    for message in outcomes.iter().flatten() {
        let Received::Framed(message) = message else { continue };
        report.add(&message.accepted.evidence, &message.accepted.parts, Reveal::All).unwrap();
    }
    let reporter = Reporter::new(AccountTag::of(bob.address().user()));
    let verdict = verify_report(&platform.0, &reporter, &report.build(), &ReportLimits::default()).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected.len()), (4, 0));
    assert!(verdict.findings.iter().all(|finding| matches!(finding, Finding::OpenEnd { last: 3, .. })));
    // And the next one follows.
    let next = stamped(&platform, &alice, &alice_db, &bob, 4, "framed 4");
    assert_eq!(super::framed(receive(&bob, &bob_db, &next)).accepted.status, ChainStatus::Next);
}

/// Both apps end and start between all messages: the chains go on from the records.
#[test]
fn chains_survive_restarts() {
    let Talking { alice_db, alice_key, mut bob, bob_db, .. } = talking();
    let (platform, policy) = (Platform::new(), FramingPolicy::default());
    let mut rollback_counters = [1, 1];
    let mut restart = |at: usize, db: &Memory| {
        // Both devices of these tests have the same storage key.
        let opened =
            Client::open(&alice_key, RollbackCounter::new(rollback_counters[at])).stage(db, NOW, &mut rng()).unwrap();
        let opened = opened.commit(|batch, _| db.write(batch)).unwrap();
        assert!(!opened.rolled_back);
        rollback_counters[at] = opened.rollback_counter.get().unwrap();
        opened.client.with_framing(policy)
    };
    let mut report = ReportBuilder::new(AccountTag::of(bob.address().user()));
    let mut chain = None;
    for round in 0..5u8 {
        let mut alice = restart(0, &alice_db);
        let post = stamped(&platform, &alice, &alice_db, &bob, round, "from alice");
        bob = restart(1, &bob_db);
        let message = framed(receive(&bob, &bob_db, &post));
        let header = message.accepted.evidence.header();
        assert_eq!((header.seq(), message.accepted.status), (round.into(), ChainStatus::Next));
        assert_eq!(*chain.get_or_insert_with(|| *header.chain()), *header.chain());
        report.add(&message.accepted.evidence, &message.accepted.parts, Reveal::All).unwrap();
        // A copy that comes again after a restart is still known.
        bob = restart(1, &bob_db);
        assert!(matches!(receive(&bob, &bob_db, &post), Err(StageError::Operation(ReceiveError::Duplicate))));
        let answer = send(&bob, &bob_db, alice.address(), 100 + round, "from bob");
        let post = platform.stamp(answer.sent.outgoing().first().unwrap().envelope(), "bob");
        bob = restart(1, &bob_db);
        let own = bob.own_stamp(alice.address().user(), &answer.evidence.unwrap(), post.stamp.as_ref().unwrap());
        let own = own.stage(&bob_db, NOW, &mut rng()).unwrap().commit(|batch, _| bob_db.write(batch)).unwrap();
        report.add(&own.unwrap(), &[Part::text("from bob")], Reveal::All).unwrap();
        alice = restart(0, &alice_db);
        assert_eq!(framed(receive(&alice, &alice_db, &post)).accepted.status, ChainStatus::Next);
    }
    let reporter = Reporter::new(AccountTag::of(bob.address().user()));
    let verdict = verify_report(&platform.0, &reporter, &report.build(), &ReportLimits::default()).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected.len()), (10, 0));
    let open_end = |finding: &Finding| matches!(finding, Finding::OpenEnd { last: 4, .. });
    assert!(verdict.findings.len() == 2 && verdict.findings.iter().all(open_end), "{:?}", verdict.findings);
}

/// Alice's database goes back in time, and her app goes on without asking the rollback counter: a second message at one place of
/// her chain. It is not shown, both can be reported, and the verdict blames her.
#[test]
fn a_chain_that_went_back_is_a_fork() {
    let Talking { alice, alice_db, alice_key, bob, bob_db, .. } = talking();
    let (platform, policy) = (Platform::new(), FramingPolicy::default());
    let (alice, bob) = (alice.with_framing(policy), bob.with_framing(policy));
    let first = stamped(&platform, &alice, &alice_db, &bob, 1, "hello");
    let hello = framed(receive(&bob, &bob_db, &first)).accepted;
    let yesterday = alice_db.0.borrow().clone();
    let story = stamped(&platform, &alice, &alice_db, &bob, 2, "I will find you");
    let shown = framed(receive(&bob, &bob_db, &story)).accepted;
    assert_eq!(shown.status, ChainStatus::Next);

    *alice_db.0.borrow_mut() = yesterday;
    // A new session, so that its ciphertexts are none that Bob has received; the chain is the old one.
    alice.reset(bob.address()).stage(&alice_db, NOW, &mut rng()).unwrap().commit(|b, ()| alice_db.write(b)).unwrap();
    let bundle = published(&bob, &bob_db).verify().unwrap();
    let added = alice.add_session(&bundle).stage(&alice_db, NOW, &mut rng()).unwrap();
    assert!(added.commit(|batch, _| alice_db.write(batch)).unwrap().started);
    let other = stamped(&platform, &alice, &alice_db, &bob, 3, "I will miss you");
    let forked = match receive(&bob, &bob_db, &other).unwrap() {
        Received::Forked(forked) => forked,
        other => panic!("{other:?}"),
    };
    assert_eq!((&forked.from, forked.forked.other), (alice.address(), Some(commitment(&story))));
    assert_eq!(forked.forked.parts, [Part::text("I will miss you")]);
    assert!(forked.forked.evidence.stamp().is_some());
    // It was received: it does not come again. What follows it contradicts the chain as well.
    assert!(matches!(receive(&bob, &bob_db, &other), Err(StageError::Operation(ReceiveError::Duplicate))));
    let next = stamped(&platform, &alice, &alice_db, &bob, 4, "as I said");
    assert!(matches!(receive(&bob, &bob_db, &next), Ok(Received::Forked(_))));

    let me = AccountTag::of(bob.address().user());
    let mut report = ReportBuilder::new(me);
    report.add(&hello.evidence, &hello.parts, Reveal::All).unwrap();
    report.add(&shown.evidence, &shown.parts, Reveal::All).unwrap();
    report.add(&forked.forked.evidence, &forked.forked.parts, Reveal::All).unwrap();
    let verdict = verify_report(&platform.0, &Reporter::new(me), &report.build(), &ReportLimits::default()).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected.len()), (3, 0));
    let owner = AccountTag::of(alice.address().user());
    let chain = *shown.evidence.header().chain();
    let blaming: Vec<_> = verdict.findings.iter().filter(|finding| finding.blames().is_some()).collect();
    assert_eq!(blaming, [&Finding::Fork { owner, chain, seq: 1 }]);
    assert_eq!(blaming[0].blames(), Some(owner));

    // An app that does ask goes on with a new chain, and is believed again.
    let opened =
        Client::open(&alice_key, RollbackCounter::new(NOW.get() + 9)).stage(&alice_db, NOW, &mut rng()).unwrap();
    let opened = opened.commit(|batch, _| alice_db.write(batch)).unwrap();
    assert!(opened.rolled_back);
    let alice = opened.client.with_framing(policy);
    let bundle = published(&bob, &bob_db).verify().unwrap();
    let added = alice.add_session(&bundle).stage(&alice_db, NOW, &mut rng()).unwrap();
    assert!(added.commit(|batch, _| alice_db.write(batch)).unwrap().started);
    let post = stamped(&platform, &alice, &alice_db, &bob, 5, "a new phone");
    let message = framed(receive(&bob, &bob_db, &post));
    assert_eq!((message.accepted.status, message.accepted.evidence.header().seq()), (ChainStatus::Next, 0));
    assert_ne!(*message.accepted.evidence.header().chain(), chain);
}
