//! Tests of the whole room.

mod attacks;
mod common;
mod transitive;
mod vectors;
