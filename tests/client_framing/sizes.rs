//! What a framed message writes.

use std::collections::BTreeMap;

use super::*;

#[test]
fn measure() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, policy) = (Platform::new(), FramingPolicy::default());
    let (alice, bob) = (alice.with_framing(policy), bob.with_framing(policy));
    for round in 0..200u8 {
        let staged = alice
            .send_framed(MessageId::new([round; 16]), bob.address(), &[Part::text("hello there")])
            .stage(&alice_db, NOW, &mut rng())
            .unwrap();
        let mut sizes = BTreeMap::new();
        let mut count = |batch: &Batch| {
            for change in batch.changes() {
                if let Change::Put { key, bytes, .. } = change {
                    *sizes.entry(key.as_bytes()[0]).or_insert(0) += bytes.len();
                }
            }
        };
        count(staged.batch());
        let sent = staged.commit(|batch, _| alice_db.write(batch)).unwrap();
        let stamped = platform.stamp(sent.sent.outgoing().envelope(), "alice");
        let staged = bob.receive(&stamped).stage(&bob_db, NOW, &mut rng()).unwrap();
        let mut sizes2 = BTreeMap::new();
        for change in staged.batch().changes() {
            if let Change::Put { key, bytes, .. } = change {
                *sizes2.entry(key.as_bytes()[0]).or_insert(0) += bytes.len();
            }
        }
        staged.commit(|batch, _| bob_db.write(batch)).unwrap();
        println!("{round} {sizes:?} {sizes2:?}");
        let answer = send(&bob, &bob_db, alice.address(), round, "stop");
        framed(receive(&alice, &alice_db, &platform.stamp(answer.sent.outgoing().envelope(), "bob")));
    }
}
