use alloc::vec::Vec;

use super::receive::arrival;
use super::received::{ReceiveError, Received};
use crate::client::Client;
use crate::staging::{Operation, Stop};
use crate::wire::{Envelope, EnvelopeKind};

/// Most envelopes of one staging.
pub const MAX_BULK: usize = 500;

/// Most bytes of bodies of one staging: 4 MiB. One envelope is always taken.
pub const MAX_BULK_BYTES: usize = 4 << 20;

/// Most envelopes of one staging for which more is read than their sender's record: each may cost 641 kB, as long as the
/// record of first messages may be, or, in suite `Signal`, as much as 40 archived sessions and their lists of skipped message keys are.
const MAX_UNUSUAL: usize = 32;

impl Client {
    /// Receives an inbox in one staging, in order: envelope k + 1 sees what k has changed, and one that fails fails alone.
    ///
    /// The outcomes are those of the first envelopes; there may be fewer of them than envelopes, and then the others are
    /// still to be received: a staging takes at most [`MAX_BULK`] envelopes and [`MAX_BULK_BYTES`], and stops early
    /// where much has to be read. After a [conflict](crate::staging::ApplyError::Conflict) receive half as many.
    ///
    /// # Errors
    ///
    /// Each outcome has its own, as [`Client::receive`].
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db, bob, bob_db: db, now, mut rng, .. } = talking();
    /// # let mut inbox = Vec::new();
    /// # for text in [b"one", b"two"] {
    /// #     let send = alice.send(MessageId::new([text[0]; 16]), bob.address(), text);
    /// #     let sent = send.run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// #     inbox.push(sent.outgoing().first().unwrap().envelope().clone());
    /// # }
    /// let outcomes = bob.receive_many(&inbox).run(&db, now, &mut rng, |tx, outcomes| {
    ///     // … the host's rows of the messages among `outcomes` …
    ///     Ok(())
    /// })?;
    /// assert!(outcomes.len() == 2 && outcomes.iter().all(Result::is_ok));
    /// # Ok(())
    /// # }
    /// ```
    pub fn receive_many(
        &self,
        envelopes: &[Envelope],
    ) -> Operation<Vec<Result<Received, ReceiveError>>, core::convert::Infallible> {
        let (core, framing, mut bytes) = (self.core.clone(), self.framing, 0usize);
        let fits = |envelope: &&Envelope| {
            bytes = bytes.saturating_add(envelope.body.len());
            bytes <= MAX_BULK_BYTES.max(envelope.body.len())
        };
        let envelopes: Vec<_> = envelopes.iter().take(MAX_BULK).take_while(fits).cloned().collect();
        Operation::new("receive_many", move |work| {
            if !work.has_rows() {
                // No more than is used: a staging stops at so many that are unusual.
                let mut firsts = 0;
                for envelope in &envelopes {
                    core.announce_envelope(work, envelope);
                    firsts += usize::from(envelope.kind == EnvelopeKind::First);
                    if firsts >= MAX_UNUSUAL {
                        break;
                    }
                }
                work.ready()?;
            }
            let (mut outcomes, mut unusual) = (Vec::with_capacity(envelopes.len()), 0);
            for envelope in &envelopes {
                let reads = work.reads();
                // Read in each pass, so that no inbox is held twice.
                let arrival = arrival(&core, envelope);
                match work.attempt(|work| core.receive(work, envelope, &arrival, framing.as_ref())) {
                    Ok(received) => outcomes.push(Ok(received)),
                    Err(Stop::Fail(error)) => outcomes.push(Err(error)),
                    // What others need is asked for in the same round.
                    Err(Stop::Need) => {}
                }
                // Whatever is read besides the sender's record is unusual.
                if work.reads() > reads + 1 || envelope.kind == EnvelopeKind::First {
                    unusual += 1;
                }
                if unusual >= MAX_UNUSUAL {
                    break;
                }
            }
            work.ready()?;
            Ok(outcomes)
        })
    }
}
