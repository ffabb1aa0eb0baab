//! The chains of a conversation, as one device knows them: its own, and everyone else's.

mod accept;
mod recent;
mod record;
mod state;

pub use accept::{AcceptedFrame, ChainStatus, ForkedFrame, FrameError, StampStatus};
pub(crate) use state::OwnChain;
pub use state::{ChainState, FrameSealError, OwnStampError, SealedFrame};
