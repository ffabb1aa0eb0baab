//! What framing costs: committing to a message, stamping it, judging a report of a thousand.

#![allow(clippy::unwrap_used, reason = "a bench stops where something is wrong")]
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::ident::Timestamp;
use subrosa::platform::{Limits, Reporter, StampKeys, stamp, verify_report};
use subrosa::report::{AccountTag, ChainState, Dest, FramingPolicy, Part, Peer, ReportBuilder, Reveal, StampContext};

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn report(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let [a, b] = [1, 2].map(|byte| AccountTag::new([byte; 32]));
    let (peer, policy) = (Peer { account: a, device: 1 }, FramingPolicy::default());
    let mut keys = StampKeys::default();
    keys.generate(1, &mut rng).unwrap();
    let parts = [Part::text("a message of ordinary length, as people write them all day")];
    let mut ours = ChainState::new(a, Dest::Direct(b), &mut rng);
    let mut theirs = ChainState::new(b, Dest::Direct(a), &mut rng);
    let context = StampContext { sender: a, dest: Dest::Direct(b), time: NOW, conv_seq: 0 };

    c.bench_function("report/commit", |bench| {
        bench.iter(|| black_box(ours.seal(&parts, NOW, &mut rng).unwrap()));
    });
    let mut ours = ChainState::new(a, Dest::Direct(b), &mut rng);
    let sent = ours.seal(&parts, NOW, &mut rng).unwrap();
    let commitment = *sent.evidence.commitment();
    c.bench_function("report/stamp", |bench| {
        bench.iter(|| stamp(&keys, 1, black_box(&commitment), &context).unwrap());
    });
    let stamped = stamp(&keys, 1, &commitment, &context).unwrap().to_bytes();
    c.bench_function("report/accept", |bench| {
        bench.iter_batched_ref(
            || theirs.clone(),
            |state| state.accept(&peer, &sent.inner, &commitment, Some(&stamped), NOW, &policy).unwrap(),
            BatchSize::SmallInput,
        );
    });

    let mut builder = ReportBuilder::new(b);
    let mut ours = ChainState::new(a, Dest::Direct(b), &mut rng);
    for _ in 0..1_000 {
        let sent = ours.seal(&parts, NOW, &mut rng).unwrap();
        let stamped = stamp(&keys, 1, sent.evidence.commitment(), &context).unwrap().to_bytes();
        let commitment = *sent.evidence.commitment();
        let accepted = theirs.accept(&peer, &sent.inner, &commitment, Some(&stamped), NOW, &policy).unwrap();
        builder.add(&accepted.evidence, &accepted.parts, Reveal::All).unwrap();
    }
    c.bench_function("report/accept/steady", |bench| {
        let sent = ours.seal(&parts, NOW, &mut rng).unwrap();
        let commitment = *sent.evidence.commitment();
        let stamped = stamp(&keys, 1, &commitment, &context).unwrap().to_bytes();
        bench.iter_batched_ref(
            || theirs.clone(),
            |state| state.accept(&peer, &sent.inner, &commitment, Some(&stamped), NOW, &policy).unwrap(),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("report/state/store", |bench| bench.iter(|| theirs.to_bytes()));
    let report = builder.build();
    let mut group = c.benchmark_group("report/verify");
    group.throughput(Throughput::Elements(1_000)).sample_size(20);
    group.bench_function("1000", |bench| {
        bench.iter(|| verify_report(&keys, &Reporter::new(b), &report, &Limits::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
