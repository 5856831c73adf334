//! Which shims may still have copies of this process's descriptors.
//!
//! A new process begins with a copy of its maker's whole table, the sockets of published ports among them. That it is close-on-exec
//! helps only in the end: the kernel lets the maker go on (`vfork`) before it closes anything, and on a busy machine the
//! new one may not run for long. Until it does, a port that was given back is in use. So who finds a port in use asks
//! here first. A shim that dies is alike: the end of its connection is seen before its last socket is closed.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The table is the process's, and so is this.
static BOOK: Book =
    Book { pages: Mutex::new(Pages { last: 0, open: BTreeSet::new() }), changed: Condvar::new() };

struct Book {
    pages: Mutex<Pages>,
    changed: Condvar,
}

struct Pages {
    last: u64,
    open: BTreeSet<u64>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One shim, from before it is made until it has ended.
#[derive(Debug)]
pub(super) struct Newborn {
    number: u64,
}

impl Newborn {
    /// To be called before the process is made.
    pub(super) fn expect() -> Arc<Self> {
        let mut pages = BOOK.pages();
        pages.last += 1;
        let number = pages.last;
        pages.open.insert(number);
        Arc::new(Self { number })
    }

    /// It has spoken: it has nothing but what it was given.
    pub(super) fn weaned(&self) {
        BOOK.pages().open.remove(&self.number);
        BOOK.changed.notify_all();
    }

    /// Its connection has ended, and it is about to. Nothing, if that is seen already.
    pub(super) fn dying(self: &Arc<Self>) {
        // whoever waits for its end has the other one
        if Arc::strong_count(self) > 1 {
            BOOK.pages().open.insert(self.number);
        }
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        self.weaned();
    }
}

/// Waits until every shim that may have copies of descriptors now has none any more, or for so long. Blocks.
pub(crate) fn wait_for_all(patience: Duration) {
    let until = Instant::now() + patience;
    let mut pages = BOOK.pages();
    let last = pages.last;
    while pages.open.range(..=last).next().is_some() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        pages = BOOK.changed.wait_timeout(pages, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn those_are_waited_for_that_were_there() {
        let (first, second) = (Newborn::expect(), Newborn::expect());
        let reaper = Arc::clone(&second);
        first.weaned();
        let (sender, heard) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            sender.send(Instant::now()).unwrap();
            wait_for_all(LONG);
        });
        heard.recv().unwrap();
        second.weaned();
        waiting.join().unwrap();
        second.dying();
        assert!(BOOK.pages().open.contains(&second.number));
        wait_for_all(Duration::ZERO);
        drop(second);
        assert!(BOOK.pages().open.contains(&reaper.number));
        drop(reaper);
        wait_for_all(LONG);
        drop(first);
        assert!(BOOK.pages().open.is_empty());
    }
}
