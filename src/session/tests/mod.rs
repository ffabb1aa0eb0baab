//! What no file of the room can try alone.

use super::*;

mod around;
mod attacks;
mod flat;
mod golden;
mod hostile;
mod limits;
mod lost_write;
mod replay;
mod secrecy;
mod sending;
mod stricter;
