//! How far chains were stepped: for tests and simulations that look at what a message costs. For one thread.

use core::cell::Cell;

std::thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Notes a step.
pub(crate) fn note() {
    STEPS.set(STEPS.get().wrapping_add(1));
}

/// How many there were.
pub(crate) fn count() -> u64 {
    STEPS.get()
}
