//! What a framed message writes.

use subrosa::wire::RecordKind;

use super::*;

/// Bytes of the rows that a batch writes: of all, and of the chains.
fn written(batch: &Batch) -> (usize, usize) {
    let puts =
        batch.changes().iter().filter_map(|change| Some((change.key().as_bytes()[0], change.row()?.bytes.len())));
    puts.fold((0, 0), |(all, framing), (kind, len)| {
        (all + len, framing + if kind == RecordKind::Framing.number() { len } else { 0 })
    })
}

/// In a long conversation of two devices a message writes less than 4 kB on an average, in two rows, and every eighth in four
/// with 6.1 kB at most: most of it is the session. The chains are the smaller part, which does not grow.
#[test]
fn a_steady_framed_message_writes_little() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, policy) = (Platform::new(), FramingPolicy::default());
    let (alice, bob) = (alice.with_framing(policy), bob.with_framing(policy));
    let (mut all, mut greatest, mut segments) = (Vec::new(), 0, 0);
    for round in 0..300u16 {
        let id = MessageId::new([round.to_be_bytes(); 8].as_flattened().try_into().unwrap());
        for (from, from_db, to, to_db) in [(&alice, &alice_db, &bob, &bob_db), (&bob, &bob_db, &alice, &alice_db)] {
            let parts = [Part::text("a message of forty bytes or thereabouts.")];
            let staged = from.send_framed(id, to.address(), &parts).stage(from_db, NOW, &mut rng()).unwrap();
            let rows = staged.batch().changes().iter().filter_map(Change::row).count();
            assert!(rows == 2 || rows == 4, "{rows}");
            segments += (rows - 2) / 2;
            let (sending, framing) = written(staged.batch());
            let sent = staged.commit(|batch, _| from_db.write(batch)).unwrap();
            let post = platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), from.address().user().as_str());
            let staged = to.receive(&post).stage(to_db, NOW, &mut rng()).unwrap();
            assert!(round == 0 || staged.batch().changes().len() == 3, "{:?}", staged.batch());
            let receiving = written(staged.batch());
            framed(Ok(staged.commit(|batch, _| to_db.write(batch)).unwrap()));
            if round > 0 {
                all.extend([sending, receiving.0]);
                greatest = greatest.max(framing).max(receiving.1);
            }
        }
    }
    let mean = all.iter().sum::<usize>() / all.len();
    let most = *all.iter().max().unwrap();
    println!("mean {mean}, most {most}, chains {greatest}");
    assert!(mean < 4_000 && most < 6_200, "{mean} {most}");
    assert!(greatest < 700 && segments == 2 * 37, "{greatest} {segments}");
}
