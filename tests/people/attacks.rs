//! Attacks, by name.
