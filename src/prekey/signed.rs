//! What the identity key signs for a prekey.

use alloc::vec::Vec;

use crate::ident::{PrekeyId, Timestamp};
use crate::suite::v1::{LABEL_PREKEY, lp};
use crate::suite::{Suite, Suites};

/// Which prekey a signature is for: one of one kind does not verify as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    OneTimeKem,
    LastResortKem,
}

/// The bytes under a prekey's signature. `public_key` carries its type byte.
///
/// Suite `Signal` signs the public key alone. Suite V1 signs what the key is, how old it is and which suites its owner
/// speaks, so that a server can neither pass a prekey off as another nor take the better suite away unseen.
pub(super) fn signed_bytes(
    suite: Suite,
    kind: Kind,
    id: PrekeyId,
    created: Timestamp,
    suites: Suites,
    public_key: &[u8],
) -> Vec<u8> {
    match suite {
        Suite::Signal => public_key.to_vec(),
        Suite::V1 => {
            let mut out = LABEL_PREKEY.to_vec();
            out.push(match kind {
                Kind::Signed => 1,
                Kind::OneTimeKem => 2,
                Kind::LastResortKem => 3,
            });
            out.extend_from_slice(&id.get().to_be_bytes());
            out.extend_from_slice(&created.get().to_be_bytes());
            out.push(suites.bits());
            lp(&mut out, public_key);
            out
        }
    }
}
