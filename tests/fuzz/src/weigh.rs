//! An allocator that knows how much each thread has asked for, and what was the most.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one hands everything to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Weighing;

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

thread_local! {
    /// Bytes that this thread has and what was the most; both may be off by what travels between threads.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(by: isize) {
    // A thread that ends has no numbers any more.
    let now = NOW.try_with(|now| {
        now.set(now.get() + by);
        now.get()
    });
    if let Ok(now) = now {
        let _ = MOST.try_with(|most| most.set(most.get().max(now)));
    }
}

// SAFETY: every call goes on to the system's allocator as it came; counting touches no memory but two cells that have
// no destructor.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Begins to watch this thread.
pub(crate) fn start() -> isize {
    let now = NOW.get();
    MOST.set(now);
    now
}

/// The most that this thread has had since, beyond what it had then.
pub(crate) fn peak(start: isize) -> usize {
    (MOST.get() - start).max(0).unsigned_abs()
}

/// Does what is no part of what is weighed: only what it leaves behind counts.
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> T {
    let most = MOST.get();
    let result = work();
    MOST.set(most.max(NOW.get()));
    result
}
