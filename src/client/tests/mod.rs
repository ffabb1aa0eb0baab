//! What no file of the room can try alone.

use super::*;

mod cached;
mod hostile;
mod session_cache;
mod unnamed;
