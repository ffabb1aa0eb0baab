//! Reports as a platform gets them, headers and stamps as everyone does.

use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::ident::Timestamp;
use subrosa::platform::{ReportLimits, Reporter, StampKeys, stamp, verify_report};
use subrosa::report::{
    AccountDevice, AccountTag, ChainState, Destination, Evidence, FrameHeader, FramingPolicy, Part, ReportBuilder,
    Reveal, Stamp, StampContext, StampFormatError,
};

/// What a platform and a reporter hold, and an honest report of theirs.
pub struct ReportFixture {
    keys: StampKeys,
    reporter: AccountTag,
    /// An honest report.
    pub report: Vec<u8>,
    /// Headers in it.
    pub headers: Vec<Vec<u8>>,
    /// A stored state and a stored evidence.
    pub stored: [Vec<u8>; 2],
}

/// The same every time.
pub fn report_fixture() -> &'static ReportFixture {
    static FIXTURE: LazyLock<ReportFixture> = LazyLock::new(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (mut keys, [a, b]) = (StampKeys::default(), [1, 2].map(|byte| AccountTag::new([byte; 32])));
        keys.generate(1, &mut rng).unwrap();
        let mut states = [
            ChainState::new(a, Destination::Direct(b), &mut rng),
            ChainState::new(b, Destination::Direct(a), &mut rng),
        ];
        let (mut builder, mut headers, mut stored) = (ReportBuilder::new(b), Vec::new(), Vec::new());
        for turn in 0..8u64 {
            let now = Timestamp::new(1_800_000_000_000 + 1_000 * turn);
            let [ours, theirs] = &mut states;
            let (from, to) = if turn % 2 == 0 { (ours, theirs) } else { (theirs, ours) };
            let parts = [Part::text("hello"), Part::new(subrosa::report::PartKind::new(0x8000), vec![7; 9])];
            let sent = from.seal(&parts, now, &mut rng).unwrap();
            let context = StampContext { sender: *from.me(), dest: *from.dest(), time: now, conv_seq: turn + 1 };
            let stamped = stamp(&keys, 1, sent.evidence.commitment(), &context).unwrap().to_bytes();
            let evidence = from.own_stamp(&sent.evidence, &stamped).unwrap();
            let (peer, policy) = (AccountDevice { account: *from.me(), device: 1 }, FramingPolicy::default());
            to.accept(&peer, &sent.inner, evidence.commitment(), Some(&stamped), now, &policy).unwrap();
            headers.push(evidence.header().to_bytes());
            stored = evidence.to_bytes().to_vec();
            let reveal = [Reveal::All, Reveal::Parts(&[1]), Reveal::HeaderOnly][usize::try_from(turn).unwrap() % 3];
            builder.add(&evidence, &parts, reveal).unwrap();
        }
        let stored = [states[0].to_bytes().to_vec(), stored];
        ReportFixture { keys, reporter: b, report: builder.build(), headers, stored }
    });
    &FIXTURE
}

/// A report, or, after a first byte of 255, edits of an honest one: offset in two bytes, what to add.
pub fn report(data: &[u8]) -> bool {
    let fixture = report_fixture();
    let mut edited = Vec::new();
    let data = if let [255, edits @ ..] = data {
        edited.clone_from(&fixture.report);
        for edit in edits.as_chunks::<3>().0 {
            let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % edited.len();
            edited[at] = edited[at].wrapping_add(edit[2]);
        }
        &edited
    } else {
        data
    };
    let judge = || verify_report(&fixture.keys, &Reporter::new(fixture.reporter), data, &ReportLimits::default());
    let verdict = judge();
    assert_eq!(judge(), verdict, "the same report, the same verdict");
    let Ok(verdict) = verdict else { return false };
    // Nothing but what was stamped is ever believed, and nobody of this conversation told two stories.
    let genuine: Vec<_> = fixture.headers.iter().map(|bytes| FrameHeader::parse(bytes).unwrap()).collect();
    for message in &verdict.messages {
        let place = (message.sender, message.place.0, message.place.1);
        assert!(genuine.iter().any(|header| (*header.sender(), *header.chain(), header.seq()) == place));
        for (_, part) in message.open_parts() {
            assert!(part.body() == b"hello" || part.body() == [7; 9]);
        }
    }
    assert!(verdict.findings.iter().all(|finding| finding.blames().is_none()));
    true
}

/// A header, a stamp, a stored state or evidence: one encoding each.
pub fn report_header(data: &[u8]) -> bool {
    let mut accepted = false;
    if let Ok(header) = FrameHeader::parse(data) {
        assert_eq!(header.to_bytes(), data);
        accepted = true;
    }
    match Stamp::parse(data) {
        Ok(stamp) => {
            assert_eq!(stamp.to_bytes(), data);
            accepted = true;
        }
        Err(StampFormatError::SealedMode) => assert_eq!(data.len(), 119),
        Err(_) => {}
    }
    if let Ok(mut state) = ChainState::from_bytes(data) {
        let bytes = state.to_bytes();
        assert!(bytes.len() <= ChainState::MAX_RECORD_LEN);
        assert_eq!(ChainState::from_bytes(&bytes).as_ref(), Ok(&state));
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let _ = state.seal(&[Part::text("hello")], Timestamp::new(1), &mut rng);
        accepted = true;
    }
    if let Ok(evidence) = Evidence::from_bytes(data) {
        assert_eq!(Evidence::from_bytes(&evidence.to_bytes()).as_ref(), Ok(&evidence));
        assert_eq!(evidence.reduce().commitment(), evidence.commitment());
        accepted = true;
    }
    accepted
}
