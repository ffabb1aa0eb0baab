//! What a host does with evidence when content goes, as docs/reports.md, 12, has it: keep it for a day, reduce it, and
//! still have it for the ends of a report.

use subrosa::platform::{Finding, RevealedPart, Verdict};
use subrosa::report::{
    AfterDeletion, Deletion, Evidence, MessageAction, MessagePolicy, PartView, ReportBuildError, RuleError, Ruling,
    TargetMessage, WindowSide, rule,
};

use super::*;

const DAY_MS: u64 = 86_400_000;

/// A row of the host's own, beside the library's.
struct StoredMessage {
    evidence: Vec<u8>,
    /// What it says, while it may be reported.
    parts: Vec<Part>,
    deleted: bool,
    /// When the content goes for good.
    until: Option<Timestamp>,
}

/// One conversation, as a host stores it.
#[derive(Default)]
struct Host {
    policy: FramingPolicy,
    rows: BTreeMap<[u8; 32], StoredMessage>,
    /// Edits and deletions whose message has not come.
    waiting: Vec<(AccountTag, Vec<Part>)>,
}

impl Host {
    fn row(&self, of: &Commitment) -> &StoredMessage {
        &self.rows[of.as_bytes()]
    }

    fn evidence(&self, of: &Commitment) -> Evidence {
        Evidence::from_bytes(&self.row(of).evidence).unwrap()
    }

    fn find(&self, of: &Commitment) -> Option<TargetMessage> {
        let row = self.rows.get(of.as_bytes())?;
        let policy = row.parts.iter().find_map(|part| match part.view() {
            Ok(PartView::Policy(policy)) => Some(policy),
            _ => None,
        });
        let author = *Evidence::from_bytes(&row.evidence).unwrap().header().sender();
        Some(TargetMessage { author, deleted: row.deleted, policy: policy.unwrap_or_default() })
    }

    /// Everything that follows from a message, in the transaction that receives it.
    fn take(&mut self, message: &FramedMessage, now: Timestamp) -> Result<Ruling, RuleError> {
        let (evidence, parts) = (&message.accepted.evidence, &message.accepted.parts);
        let row =
            StoredMessage { evidence: evidence.to_bytes().to_vec(), parts: parts.clone(), deleted: false, until: None };
        self.rows.insert(*evidence.commitment().as_bytes(), row);
        let ruling = self.act(evidence.header().sender(), parts, now);
        let waiting = std::mem::take(&mut self.waiting);
        for (author, parts) in waiting {
            // What waited for another message goes on waiting; what is refused now is not done.
            let _ = self.act(&author, &parts, now);
        }
        ruling
    }

    fn act(&mut self, author: &AccountTag, parts: &[Part], now: Timestamp) -> Result<Ruling, RuleError> {
        let ruling = rule(parts, author, |of| self.find(of))?;
        match ruling {
            Ruling::Do(MessageAction::Delete(target)) => self.remove(&target, Deletion::Remote, now),
            Ruling::Wait(_) => self.waiting.push((*author, parts.to_vec())),
            _ => {}
        }
        Ok(ruling)
    }

    /// The content goes; the evidence by policy.
    fn remove(&mut self, of: &Commitment, why: Deletion, now: Timestamp) {
        let until = match self.policy.after(why, now) {
            AfterDeletion::HoldUntil(until) => until,
            AfterDeletion::Erase => return drop(self.rows.remove(of.as_bytes())),
            _ => now,
        };
        let row = self.rows.get_mut(of.as_bytes()).unwrap();
        (row.deleted, row.until) = (true, Some(until));
        self.prune(now);
    }

    /// What the host's timer does.
    fn prune(&mut self, now: Timestamp) {
        for row in self.rows.values_mut().filter(|row| row.until.is_some_and(|until| until <= now)) {
            row.parts.clear();
            row.evidence = Evidence::from_bytes(&row.evidence).unwrap().reduce().to_bytes().to_vec();
            row.until = None;
        }
    }
}

struct Scene {
    platform: Platform,
    alice: Client,
    alice_db: Memory,
    bob: Client,
    bob_db: Memory,
    host: Host,
    next_id: u8,
}

impl Scene {
    fn new() -> Self {
        let Talking { alice, alice_db, bob, bob_db, .. } = talking();
        let bob = bob.with_framing(FramingPolicy::default());
        Self { platform: Platform::new(), alice, alice_db, bob, bob_db, host: Host::default(), next_id: 0 }
    }

    fn sends(&mut self, parts: &[Part]) -> Envelope {
        self.next_id += 1;
        let sent = send_parts(&self.alice, &self.alice_db, self.bob.address(), self.next_id, parts);
        self.platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), "alice")
    }

    /// Receives, and stores evidence and consequences in the same commit.
    fn receives(&mut self, envelope: &Envelope) -> (Commitment, Result<Ruling, RuleError>) {
        let (host, db, now) = (&mut self.host, &self.bob_db, self.platform.now());
        let staged = self.bob.receive(envelope).stage(db, now, &mut rng()).unwrap();
        let mut ruling = None;
        let received = staged.commit(|batch, received| {
            db.write(batch)?;
            // A host with a database writes its rows in that transaction.
            let Received::Framed(message) = received else { panic!("{received:?}") };
            ruling = Some(host.take(message, now));
            Ok::<_, ApplyError<Infallible>>(())
        });
        let Ok(Received::Framed(message)) = received else { panic!("{received:?}") };
        (*message.accepted.evidence.commitment(), ruling.unwrap())
    }

    fn verdict(&self, report: ReportBuilder) -> Verdict {
        let reporter = Reporter::new(AccountTag::of(self.bob.address().user()));
        verify_report(&self.platform.0, &reporter, &report.build(), &ReportLimits::default()).unwrap()
    }

    fn report(&self) -> ReportBuilder {
        ReportBuilder::new(AccountTag::of(self.bob.address().user()))
    }

    /// Adds a message to a report as it is stored.
    fn add(&self, report: &mut ReportBuilder, of: &Commitment) -> Result<(), ReportBuildError> {
        report.add(&self.host.evidence(of), &self.host.row(of).parts, Reveal::All).map(|_| ())
    }
}

/// A threat is taken back. For a day it can be reported; then what remains of it still closes a report's beginning.
#[test]
fn what_was_taken_back_is_held_for_a_day_then_reduced() {
    let mut scene = Scene::new();
    let post = scene.sends(&[Part::text("hello")]);
    let _ = scene.receives(&post);
    let post = scene.sends(&[Part::text("I know where you live")]);
    let (threat, _) = scene.receives(&post);
    let post = scene.sends(&[Part::text("who would believe you")]);
    let (taunt, _) = scene.receives(&post);
    let post = scene.sends(&[Part::delete_of(&threat)]);
    let deleted_at = {
        let (_, ruling) = scene.receives(&post);
        assert_eq!(ruling, Ok(Ruling::Do(MessageAction::Delete(threat))));
        scene.platform.now()
    };
    let deletion = commitment_of(&post);

    // Out of sight, and on the record.
    let row = scene.host.row(&threat);
    assert!(row.deleted && row.until == Some(Timestamp::new(deleted_at.get() + DAY_MS)));
    let report_of = |scene: &Scene| {
        let mut report = scene.report();
        scene.add(&mut report, &threat).unwrap();
        scene.add(&mut report, &taunt).unwrap();
        scene.add(&mut report, &deletion).unwrap();
        scene.verdict(report)
    };
    scene.host.prune(Timestamp::new(deleted_at.get() + DAY_MS - 1));
    let verdict = report_of(&scene);
    assert_eq!(verdict.messages[0].open_parts().next(), Some((0, &Part::text("I know where you live"))));
    assert_eq!(verdict.messages[2].open_parts().next(), Some((0, &Part::delete_of(&threat))));
    let full = scene.host.evidence(&threat);

    // The day is over.
    scene.host.prune(Timestamp::new(deleted_at.get() + DAY_MS));
    let (reduced, row) = (scene.host.evidence(&threat), scene.host.row(&threat));
    assert!(reduced.is_reduced() && row.parts.is_empty() && row.until.is_none());
    assert_eq!((reduced.commitment(), reduced.stamp()), (full.commitment(), full.stamp()));
    let parts = [Part::text("I know where you live")];
    assert_eq!(scene.report().add(&reduced, &parts, Reveal::All).unwrap_err(), ReportBuildError::Reduced);

    // The rest is reported, and the threat's place closes the beginning: nothing was cut off there.
    let report_with = |boundary: Option<&Evidence>| {
        let mut report = scene.report();
        scene.add(&mut report, &taunt).unwrap();
        scene.add(&mut report, &deletion).unwrap();
        if let Some(evidence) = boundary {
            report.boundary(evidence, WindowSide::Before).unwrap();
        }
        scene.verdict(report)
    };
    let open_start = |verdict: &Verdict| verdict.findings.iter().any(|f| matches!(f, Finding::OpenStart { .. }));
    assert!(open_start(&report_with(None)), "without it the beginning is open");
    let verdict = report_with(Some(&reduced));
    assert!(!open_start(&verdict) && verdict.rejected.is_empty() && verdict.claimed_boundaries == (true, false));
    assert!(verdict.findings.iter().all(|f| matches!(f, Finding::OpenEnd { .. })), "{:?}", verdict.findings);
    assert_eq!(verdict.messages[0].commitment, threat);
    assert_eq!(verdict.messages[0].parts, [RevealedPart::Redacted]);
    assert_eq!(verdict.findings, report_with(Some(&full)).findings, "as good there as the whole evidence");
}

fn commitment_of(envelope: &Envelope) -> Commitment {
    Commitment::new(envelope.commitment.unwrap())
}

/// A deletion that comes before its message waits, and is done in the commit that brings the message.
#[test]
fn a_deletion_waits_for_its_message() {
    let mut scene = Scene::new();
    let threat = scene.sends(&[Part::text("late, and taken back")]);
    let of = commitment_of(&threat);
    let deletion = scene.sends(&[Part::delete_of(&of)]);
    assert_eq!(scene.receives(&deletion).1, Ok(Ruling::Wait(MessageAction::Delete(of))));
    assert_eq!(scene.receives(&threat).1, Ok(Ruling::Do(MessageAction::Say { quote: None })));
    assert!(scene.host.row(&of).deleted && scene.host.waiting.is_empty());
    let mut report = scene.report();
    scene.add(&mut report, &of).unwrap();
    assert_eq!(scene.verdict(report).messages.len(), 1);
}

/// What is shown once or expires is held for a day, and no edit brings it back; what the user deleted is reduced now.
#[test]
fn other_reasons_for_content_to_go() {
    for (policy, why, held) in [
        (MessagePolicy { view_once: true, ..MessagePolicy::default() }, Deletion::ViewOnce, true),
        (MessagePolicy { expire_s: 60, ..MessagePolicy::default() }, Deletion::Expired, true),
        (MessagePolicy::default(), Deletion::Local, false),
    ] {
        let mut scene = Scene::new();
        let post = scene.sends(&[Part::text("look"), Part::policy(&policy)]);
        let (of, _) = scene.receives(&post);
        assert_eq!(scene.host.find(&of).unwrap().policy, policy);
        scene.host.remove(&of, why, scene.platform.now());
        assert_eq!(scene.host.evidence(&of).is_reduced(), !held, "{why:?}");
        assert_eq!(scene.add(&mut scene.report(), &of).is_ok(), held);
        let edit = scene.sends(&[Part::edit_of(&of), Part::text("look again")]);
        let (edit, ruling) = scene.receives(&edit);
        assert_eq!(ruling, Err(RuleError::Deleted));
        // Not done, and evidence all the same.
        assert!(scene.add(&mut scene.report(), &edit).is_ok());
    }
    let mut scene = Scene::new();
    let once = MessagePolicy { view_once: true, ..MessagePolicy::default() };
    let post = scene.sends(&[Part::text("look"), Part::policy(&once)]);
    let (of, _) = scene.receives(&post);
    let edit = scene.sends(&[Part::edit_of(&of), Part::text("look again")]);
    assert_eq!(scene.receives(&edit).1, Err(RuleError::ViewOnce));
}
