//! What the benches share: measuring in turns, tables, parties of both levels.

#![allow(dead_code, reason = "each bench uses what it needs of this")]

pub(crate) mod device;
pub(crate) mod measure;
pub(crate) mod olm;
pub(crate) mod pair;
pub(crate) mod primitives;
pub(crate) mod table;
