//! People with several devices: rosters, links, fan-out, and every attack on them by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests stop where something is wrong"
)]

#[path = "people/attacks.rs"]
mod attacks;
#[path = "people/devices.rs"]
mod devices;
#[path = "people/soak.rs"]
mod soak;
#[path = "people/stories.rs"]
mod stories;
#[path = "people/world.rs"]
mod world;
