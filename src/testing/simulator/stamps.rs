//! The platform's stamps on framed messages.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ident::Timestamp;
use crate::platform::{StampKeys, stamp};
use crate::report::{AccountTag, Commitment, Destination, StampContext};
use crate::testing::SeededRng;
use crate::wire::Envelope;

const KID: u32 = 1;

/// The keys, and what was stamped: what is posted again gets the stamp that it had.
pub(super) struct Stamps {
    pub(super) keys: StampKeys,
    given: BTreeMap<[u8; 32], Vec<u8>>,
}

impl Stamps {
    pub(super) fn new(seed: u64) -> Self {
        let mut keys = StampKeys::default();
        // There is none yet.
        let _ = keys.generate(KID, &mut SeededRng::new(seed));
        Self { keys, given: BTreeMap::new() }
    }

    /// The envelope as it goes on: stamped, if it has a commitment.
    pub(super) fn stamped(&mut self, envelope: &Envelope, now: u64) -> Envelope {
        let mut envelope = envelope.clone();
        let (Some(commitment), Some(from)) = (envelope.commitment, &envelope.from) else { return envelope };
        let (sender, dest) = (AccountTag::of(from.user()), Destination::Direct(AccountTag::of(envelope.to.user())));
        let context = StampContext { sender, dest, time: Timestamp::new(now), conv_seq: 0 };
        if let Ok(stamp) = stamp(&self.keys, KID, &Commitment::new(commitment), &context) {
            let given = self.given.entry(commitment).or_insert_with(|| stamp.to_bytes().to_vec());
            envelope.stamp = Some(given.clone());
        }
        envelope
    }

    /// The stamp of a message.
    pub(super) fn of(&self, envelope: &Envelope) -> Option<&[u8]> {
        self.given.get(&envelope.commitment?).map(Vec::as_slice)
    }
}
