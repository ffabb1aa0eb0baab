//! Devices that frame, a network that does what it is told, and a platform that stamps.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::ident::{Timestamp, UserId};
use subrosa::platform::{
    Finding, RejectReason, ReportLimits, Reporter, StampKeys, Verdict, VerifyReportError, stamp, verify_report,
};
use subrosa::report::{
    AcceptedFrame, AccountDevice, AccountTag, ChainState, ChainStatus, Commitment, Destination, Evidence, FrameError,
    FramingPolicy, GroupTag, Part, ReportBuilder, Reveal, StampContext, WindowSide,
};

pub const START: u64 = 1_800_000_000_000;
pub const KID: u32 = 7;

pub fn account(name: &str) -> AccountTag {
    AccountTag::of(&UserId::new(name).unwrap())
}

pub fn group() -> GroupTag {
    GroupTag::of(b"the group")
}

/// A stamped message on its way.
#[derive(Debug, Clone)]
pub struct Post {
    pub from: AccountDevice,
    pub commitment: Commitment,
    pub inner: Vec<u8>,
    pub stamp: Vec<u8>,
}

/// Stamps, and keeps time. Knows nothing else.
pub struct Platform {
    pub keys: StampKeys,
    pub now: u64,
    /// 0: keeps no counter.
    pub conv_seq: u64,
    pub rng: ChaCha20Rng,
}

impl Platform {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut keys = StampKeys::default();
        keys.generate(KID, &mut rng).unwrap();
        Self { keys, now: START, conv_seq: 0, rng }
    }

    pub fn counting(seed: u64) -> Self {
        Self { conv_seq: 1, ..Self::new(seed) }
    }

    /// A message is submitted by an account.
    pub fn stamp(&mut self, sender: AccountTag, dest: Destination, commitment: &Commitment) -> Vec<u8> {
        let context = StampContext { sender, dest, time: Timestamp::new(self.now), conv_seq: self.conv_seq };
        if self.conv_seq > 0 {
            self.conv_seq += 1;
        }
        stamp(&self.keys, KID, commitment, &context).unwrap().to_bytes().to_vec()
    }

    pub fn verify(&self, reporter: AccountTag, report: &[u8]) -> Result<Verdict, VerifyReportError> {
        let reporter = Reporter::new(reporter).with_membership(group(), Timestamp::new(0), Timestamp::new(u64::MAX));
        verify_report(&self.keys, &reporter, report, &ReportLimits::default())
    }

    /// Why the only item of a report is refused.
    pub fn refusal(&self, reporter: AccountTag, report: &[u8]) -> RejectReason {
        match self.verify(reporter, report) {
            Err(VerifyReportError::NothingVerified(rejected)) if rejected.len() == 1 => rejected[0].1,
            other => panic!("{other:?}"),
        }
    }
}

/// One device in one conversation.
pub struct Device {
    pub peer: AccountDevice,
    pub state: ChainState,
    /// Everything it has sent and accepted, as it would store it.
    pub log: Vec<(Evidence, Vec<Part>)>,
    pub rng: ChaCha20Rng,
}

impl Device {
    pub fn new(name: &str, device: u32, dest: Destination, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0xdead);
        let peer = AccountDevice { account: account(name), device };
        Self { peer, state: ChainState::new(peer.account, dest, &mut rng), log: Vec::new(), rng }
    }

    pub fn account(&self) -> AccountTag {
        self.peer.account
    }

    /// Frames and submits.
    pub fn send_parts(&mut self, platform: &mut Platform, parts: &[Part]) -> Post {
        platform.now += 1_000;
        let sent = self.state.seal(parts, Timestamp::new(platform.now), &mut self.rng).unwrap();
        let commitment = *sent.evidence.commitment();
        let stamp = platform.stamp(self.peer.account, *self.state.dest(), &commitment);
        let evidence = self.state.own_stamp(&sent.evidence, &stamp).unwrap();
        self.log.push((evidence, parts.to_vec()));
        Post { from: self.peer, commitment, inner: sent.inner, stamp }
    }

    pub fn send(&mut self, platform: &mut Platform, text: &str) -> Post {
        self.send_parts(platform, &[Part::text(text)])
    }

    /// Receives with the default policy; stores what is new. A refusal must have changed nothing.
    pub fn receive(&mut self, post: &Post, now: u64) -> Result<AcceptedFrame, FrameError> {
        let before = self.state.to_bytes();
        let stamp = Some(post.stamp.as_slice());
        let policy = FramingPolicy::default();
        let accepted =
            self.state.accept(&post.from, &post.inner, &post.commitment, stamp, Timestamp::new(now), &policy);
        match &accepted {
            Ok(accepted) if accepted.status != ChainStatus::Duplicate => {
                self.log.push((accepted.evidence.clone(), accepted.parts.clone()));
            }
            Ok(_) | Err(_) => assert_eq!(*self.state.to_bytes(), *before, "something changed"),
        }
        let bytes = self.state.to_bytes();
        assert!(bytes.len() <= ChainState::MAX_RECORD_LEN);
        assert_eq!(ChainState::from_bytes(&bytes).as_ref(), Ok(&self.state));
        accepted
    }

    /// Everything it has, revealed.
    pub fn report_all(&self) -> Vec<u8> {
        self.report(|_, _| true)
    }

    /// What is chosen of its log, by place.
    pub fn report(&self, choose: impl Fn(usize, &Evidence) -> bool) -> Vec<u8> {
        let mut builder = ReportBuilder::new(self.account());
        for (at, (evidence, parts)) in self.log.iter().enumerate() {
            if choose(at, evidence) {
                builder
                    .add(evidence, parts, if evidence.is_reduced() { Reveal::HeaderOnly } else { Reveal::All })
                    .unwrap();
            }
        }
        builder.build()
    }

    /// The places of a window of its log, revealed, with the boundary items that an honest application adds: each
    /// chain's last message before the window, and its first one after it.
    pub fn report_window(&self, window: std::ops::Range<usize>) -> Vec<u8> {
        let mut builder = ReportBuilder::new(self.account());
        let mut chains = std::collections::BTreeMap::new();
        for (at, (evidence, parts)) in self.log.iter().enumerate() {
            let header = evidence.header();
            let seqs = chains.entry(header.chain_tag()).or_insert_with(Vec::new);
            if window.contains(&at) {
                seqs.push(header.seq());
                builder
                    .add(evidence, parts, if evidence.is_reduced() { Reveal::HeaderOnly } else { Reveal::All })
                    .unwrap();
            }
        }
        let time = |evidence: &Evidence| evidence.stamp().unwrap().context.time;
        let inside = || self.log[window.clone()].iter().map(|(evidence, _)| time(evidence));
        let (first, last) = (inside().min().unwrap(), inside().max().unwrap());
        for tag in chains.keys() {
            let of_chain = || self.log.iter().map(|(evidence, _)| evidence).filter(|e| e.header().chain_tag() == *tag);
            let before = of_chain().filter(|evidence| time(evidence) < first).max_by_key(|e| e.header().seq());
            let after = of_chain().filter(|evidence| time(evidence) > last).min_by_key(|e| e.header().seq());
            for (evidence, side) in
                before.map(|e| (e, WindowSide::Before)).into_iter().chain(after.map(|e| (e, WindowSide::After)))
            {
                builder.boundary(evidence, side).unwrap();
            }
        }
        builder.build()
    }
}

/// Alice and Bob, one device each.
pub fn pair(seed: u64) -> (Platform, Device, Device) {
    let alice = Device::new("alice", 1, Destination::Direct(account("bob")), seed.wrapping_mul(2));
    let bob = Device::new("bob", 1, Destination::Direct(account("alice")), seed.wrapping_mul(2) + 1);
    (Platform::new(seed), alice, bob)
}

/// Devices of the group, one for each name.
pub fn members(names: &[&str], seed: u64) -> (Platform, Vec<Device>) {
    let device = |(at, name): (usize, &&str)| {
        Device::new(name, 1, Destination::Group(group()), seed.wrapping_mul(100) + u64::try_from(at).unwrap())
    };
    (Platform::new(seed), names.iter().enumerate().map(device).collect())
}

/// Delivers at once.
#[track_caller]
pub fn deliver(platform: &Platform, to: &mut Device, post: &Post) -> AcceptedFrame {
    to.receive(post, platform.now).unwrap()
}

/// Findings that blame somebody.
pub fn blaming(verdict: &Verdict) -> Vec<Finding> {
    verdict.findings.iter().filter(|finding| finding.blames().is_some()).copied().collect()
}

/// What a verified message says, as text.
pub fn texts(verdict: &Verdict) -> Vec<String> {
    let parts = verdict.messages.iter().flat_map(|message| message.open_parts());
    parts.map(|(_, part)| String::from_utf8_lossy(part.body()).into_owned()).collect()
}
