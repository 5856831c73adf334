//! Work that threads share: whoever has some to give away offers it, whoever is free does it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// Work that waits at most: it holds descriptors.
const MAX_WAITING: usize = 32;

/// The work.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Somebody else may take it.
    is_shared: bool,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Pieces that are being done.
    running: usize,
    closed: bool,
    /// The first failure.
    failure: Option<Error>,
}

/// Sends everybody home who waits for work.
pub(super) struct Closing<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.0.changed.notify_all();
    }
}

/// A piece that is being done, until it is, or its thread panics.
struct Running<'a, T> {
    queue: &'a Queue<T>,
    done: Option<Result<()>>,
}

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        let done = self.done.take().unwrap_or_else(|| Err(Error::Invalid("a thread failed".into())));
        let mut state = self.queue.lock();
        state.running -= 1;
        if let Err(error) = done {
            state.failure.get_or_insert(error);
            state.waiting.clear();
        }
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl<T> Queue<T> {
    pub(super) fn new(is_shared: bool) -> Self {
        let state = State { waiting: VecDeque::new(), running: 0, closed: false, failure: None };
        Self { state: Mutex::new(state), changed: Condvar::new(), is_shared }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a piece to others; gives it back when they have enough to do.
    pub(super) fn offer(&self, piece: T) -> Option<T> {
        let mut state = self.lock();
        if !self.is_shared || state.waiting.len() >= MAX_WAITING {
            return Some(piece);
        }
        state.waiting.push_back(piece);
        drop(state);
        self.changed.notify_one();
        None
    }

    fn run<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        piece: T,
        work: &mut dyn FnMut(T) -> Result<()>,
    ) {
        state.running += 1;
        drop(state);
        let mut running = Running { queue: self, done: None };
        running.done = Some(work(piece));
    }

    /// Does pieces until there will be no more.
    pub(super) fn work(&self, work: &mut dyn FnMut(T) -> Result<()>) {
        let mut state = self.lock();
        while !state.closed {
            match state.waiting.pop_front() {
                Some(piece) => {
                    self.run(state, piece, work);
                    state = self.lock();
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Does what waits, and waits for what others do.
    ///
    /// # Errors
    /// The first failure of all.
    pub(super) fn drain(&self, work: &mut dyn FnMut(T) -> Result<()>) -> Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(piece) = state.waiting.pop_front() {
                self.run(state, piece, work);
                state = self.lock();
            } else if state.running > 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                return state.failure.take().map_or(Ok(()), Err);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_everybody_s() {
        let queue = Queue::new(true);
        std::thread::scope(|scope| {
            let _closing = Closing(&queue);
            let done = Mutex::new(0);
            scope.spawn(|| queue.work(&mut |_: u32| Ok(())));
            for piece in 0..20 {
                assert_eq!(queue.offer(piece), None);
            }
            queue
                .drain(&mut |_| {
                    *done.lock().unwrap() += 1;
                    Ok(())
                })
                .unwrap();
            assert!(*done.lock().unwrap() <= 20);
        });
        let queue = Queue::new(true);
        assert!((0..=MAX_WAITING).all(|piece| (queue.offer(piece).is_some()) == (piece == MAX_WAITING)));
        let failed = queue.drain(&mut |piece| if piece == 3 { Err(Error::Cancelled) } else { Ok(()) });
        assert!(matches!(failed, Err(Error::Cancelled)));
        queue.drain(&mut |_| Ok(())).unwrap();
        // alone it does everything itself
        assert_eq!(Queue::new(false).offer(1), Some(1));
    }
}
