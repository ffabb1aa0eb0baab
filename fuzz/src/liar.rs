//! A peer that holds valid session keys and lies: its messages come from an edited copy of its own session, so that they
//! authenticate and still claim other epochs, forged chunks, reused counters, other ratchet keys.
//!
//! What is held: nothing panics, a refusal changes nothing (the party itself asserts it), no bytes are read twice, and
//! what is stored loads again and stays bounded.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::session::Session;
use subrosa::suite::Suite;

use super::party::{NOW, Party, pair};

/// Five chains of 2,000 seeds, three epochs of 2,000 keys, 36 bytes each, and the rest.
const MAX_RECORD: usize = 36 * 8 * 2_000 + 20_000;

/// Honest messages and lies in one run.
const MAX_STEPS: usize = 60;

/// The first byte tells the suite. Gives whether a lie was accepted.
pub fn liar(data: &[u8]) -> bool {
    let Some((suite, mut data)) = data.split_first() else { return false };
    let suite = if suite & 1 == 0 { Suite::Signal } else { Suite::V1 };
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let [mut liar, mut victim] = pair(suite);
    let bundle = victim.bundle(true);
    liar.start(&bundle, NOW, &mut rng);
    turn(&mut liar, &mut victim, &mut rng);
    turn(&mut victim, &mut liar, &mut rng);
    let mut read = std::collections::BTreeSet::new();
    let mut accepted = false;
    for _ in 0..MAX_STEPS {
        let Some((operation, rest)) = data.split_first() else { break };
        data = rest;
        match operation % 4 {
            // Honest turns, as far as the lies have left that possible.
            0 => turn(&mut liar, &mut victim, &mut rng),
            1 => turn(&mut victim, &mut liar, &mut rng),
            operation => {
                let Some((edits, rest)) = data.split_at_checked(3 * usize::from(operation - 1)) else { break };
                data = rest;
                if let Some(message) = lie(&liar, edits, &mut rng) {
                    let from = liar.device.address().clone();
                    if victim.receive(&from, &message.0, message.1, NOW, &mut rng).is_some() {
                        assert!(read.insert(message.0), "the same bytes were read twice");
                        accepted = true;
                    }
                }
            }
        }
        let stored = victim.session.as_ref().unwrap().to_bytes();
        assert!(stored.len() <= MAX_RECORD, "{} bytes", stored.len());
        assert_eq!(*Session::from_bytes(&stored).unwrap().to_bytes(), *stored);
    }
    accepted
}

/// One message, delivered; after a lie it may be refused.
fn turn(from: &mut Party, to: &mut Party, rng: &mut ChaCha20Rng) {
    let session = from.session.as_mut();
    let Some(Ok(sent)) = session.map(|session| session.encrypt(b"honest", NOW, rng)) else { return };
    let address = from.device.address().clone();
    let _ = to.receive(&address, sent.bytes(), sent.is_first(), NOW, rng);
}

/// A message of an edited copy: offset in two bytes and what to add there.
fn lie(liar: &Party, edits: &[u8], rng: &mut ChaCha20Rng) -> Option<(Vec<u8>, bool)> {
    let mut stored = liar.session.as_ref()?.to_bytes().to_vec();
    for edit in edits.as_chunks::<3>().0 {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % stored.len();
        stored[at] = stored[at].wrapping_add(edit[2]);
    }
    let mut copy = Session::from_bytes(&stored).ok()?;
    let sent = copy.encrypt(b"a lie", NOW, rng).ok()?;
    Some((sent.bytes().to_vec(), sent.is_first()))
}
