//! Tests of the whole room.

mod attacks;
mod common;
mod links;
mod transitive;
mod vectors;
