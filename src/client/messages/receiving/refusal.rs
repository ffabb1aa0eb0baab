//! Why a message gave nothing.

use super::received::ReceiveError;
use crate::session::{AcceptError, DecryptError};
use crate::staging::{Stop, StoredError};

type Halt = Stop<ReceiveError>;

/// Why a message gave nothing.
pub(in crate::client) enum Refusal {
    Stop(Halt),
    /// Only for want of a session or of a key.
    Unreadable(AcceptError),
}

impl From<Halt> for Refusal {
    fn from(stop: Halt) -> Self {
        Self::Stop(stop)
    }
}

impl From<Stop<StoredError>> for Refusal {
    fn from(stop: Stop<StoredError>) -> Self {
        Self::Stop(stop.map(ReceiveError::from))
    }
}

impl From<DecryptError> for Refusal {
    fn from(error: DecryptError) -> Self {
        AcceptError::Message(error).into()
    }
}

impl From<AcceptError> for Refusal {
    fn from(error: AcceptError) -> Self {
        if error.asks_for_repair() || error == AcceptError::LongPast {
            return Self::Unreadable(error);
        }
        Self::Stop(Stop::Fail(match error {
            AcceptError::Message(DecryptError::Duplicate | DecryptError::ReadBefore) => ReceiveError::Duplicate,
            AcceptError::SuiteDowngrade => ReceiveError::SuiteDowngrade,
            AcceptError::SuiteNotEnabled => ReceiveError::SuiteNotEnabled,
            _ => ReceiveError::NotAuthentic,
        }))
    }
}
