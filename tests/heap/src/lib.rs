//! An allocator that keeps what is in every block when it is freed, so that tests can look for secrets there.

#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Room for what is freed while something runs.
const ROOM: usize = 256 << 20;

std::thread_local!(static WATCHED: Cell<bool> = const { Cell::new(false) });
static USED: AtomicUsize = AtomicUsize::new(0);
static BASE: OnceLock<usize> = OnceLock::new();
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Copies blocks of 32 bytes and more that the watched thread frees, behind their length.
pub struct Spy;

unsafe impl GlobalAlloc for Spy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let len = layout.size();
        if len >= 32 && WATCHED.try_with(Cell::get).unwrap_or(false) {
            let at = USED.fetch_add(8 + len, SeqCst);
            if let (true, Some(base)) = (at + 8 + len <= ROOM, BASE.get()) {
                unsafe {
                    let to = (*base as *mut u8).add(at);
                    std::ptr::copy_nonoverlapping(len.to_ne_bytes().as_ptr(), to, 8);
                    std::ptr::copy_nonoverlapping(block, to.add(8), len);
                }
            }
        }
        // What is found later was left by the block's last owner.
        unsafe {
            std::ptr::write_bytes(block, 0, len);
            std::hint::black_box(block);
            System.dealloc(block, layout);
        }
    }
}

/// Runs something, and gives what was in the blocks that it freed.
pub fn freed<T>(run: impl FnOnce() -> T) -> (T, Vec<Vec<u8>>) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    BASE.get_or_init(|| Box::leak(vec![0u8; ROOM].into_boxed_slice()).as_mut_ptr() as usize);
    USED.store(0, SeqCst);
    WATCHED.set(true);
    let outcome = run();
    WATCHED.set(false);
    let used = USED.load(SeqCst);
    assert!(used <= ROOM, "more was freed than there is room for");
    let base = *BASE.get().unwrap() as *const u8;
    let mut log = unsafe { std::slice::from_raw_parts(base, used) };
    let mut blocks = Vec::new();
    while let Some((len, rest)) = log.split_first_chunk() {
        let (block, rest) = rest.split_at(usize::from_ne_bytes(*len));
        blocks.push(block.to_vec());
        log = rest;
    }
    (outcome, blocks)
}
