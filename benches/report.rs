//! What framing costs: committing to a message, stamping it, accepting it, judging a report of a thousand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use subrosa::platform::{ReportLimits, Reporter, StampKeys, stamp, verify_report};
use subrosa::report::{
    AccountDevice, AccountTag, ChainState, Commitment, Destination, FramingPolicy, Part, ReportBuilder, Reveal,
    StampContext,
};
use support::measure::{Case, in_turns};
use support::pair::{NOW, rng};
use support::primitives::{self, SHA};
use support::table::{Table, spread, us};

const TEXT: &str = "a message of ordinary length, as people write them all day";

const COMMIT: &str = "frame a message of one part";
const STAMP: &str = "stamp";
const ACCEPT_FIRST: &str = "accept a conversation's first framed message";
const ACCEPT: &str = "accept a framed message, after a thousand";
const STORE: &str = "the state of the chains to bytes";
const VERIFY: &str = "verify a report of 1,000 messages";

fn main() {
    let mut random = rng(1);
    let [a, b] = [1, 2].map(|byte| AccountTag::new([byte; 32]));
    let (peer, policy) = (AccountDevice { account: a, device: 1 }, FramingPolicy::default());
    let mut keys = StampKeys::default();
    keys.generate(1, &mut random).unwrap();
    let keys: &'static StampKeys = Box::leak(Box::new(keys));
    let parts = [Part::text(TEXT)];
    let context = StampContext { sender: a, dest: Destination::Direct(b), time: NOW, conv_seq: 0 };
    let stamped = move |commitment: &Commitment| stamp(keys, 1, commitment, &context).unwrap().to_bytes();

    let mut ours = ChainState::new(a, Destination::Direct(b), &mut random);
    let mut theirs = ChainState::new(b, Destination::Direct(a), &mut random);
    let fresh = theirs.clone();
    let first = ours.seal(&parts, NOW, &mut random).unwrap();
    let mut builder = ReportBuilder::new(b);
    let mut sent = first.clone();
    for _ in 0..1_000 {
        let commitment = *sent.evidence.commitment();
        let accepted =
            theirs.accept(&peer, &sent.inner, &commitment, Some(&stamped(&commitment)), NOW, &policy).unwrap();
        builder.add(&accepted.evidence, &accepted.parts, Reveal::All).unwrap();
        sent = ours.seal(&parts, NOW, &mut random).unwrap();
    }
    let report = builder.build();

    let commitment = *first.evidence.commitment();
    let stored = theirs.clone();
    let mut cases = primitives::cases();
    cases.push(Case::plain(COMMIT, move || ours.seal(&parts, NOW, &mut random).unwrap()));
    cases.push(Case::plain(STAMP, move || stamp(keys, 1, &commitment, &context).unwrap()));
    for (name, start, message) in [(ACCEPT_FIRST, fresh, first), (ACCEPT, theirs, sent)] {
        let commitment = *message.evidence.commitment();
        let stamped = stamped(&commitment);
        let accept = move |state: &mut ChainState| {
            state.accept(&peer, &message.inner, &commitment, Some(&stamped), NOW, &policy).unwrap()
        };
        cases.push(Case::each(name, move || start.clone(), accept));
    }
    cases.push(Case::plain(STORE, move || stored.to_bytes()));
    let verify = move || verify_report(keys, &Reporter::new(b), &report, &ReportLimits::default()).unwrap();
    cases.push(Case::plain(VERIFY, verify));
    let results = in_turns(cases);
    let mut table = Table::new("Framing and reports, µs", ["", "median", "10 % to 90 %"]);
    for name in [COMMIT, STAMP, ACCEPT_FIRST, ACCEPT, STORE, VERIFY, SHA] {
        table.row([name, &us(results.of(name)), &spread(results.taken(name))]);
    }
    table.print();
}
