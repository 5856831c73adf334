//! What an engine has done since it was opened, as far as no event tells.

use std::sync::atomic::{AtomicU64, Ordering};

use build::solve::{Failure, Solved};

use crate::Engine;

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pulled_bytes: AtomicU64,
    steps_made: AtomicU64,
    steps_cached: AtomicU64,
    builds_failed: AtomicU64,
    probes: AtomicU64,
    probes_failed: AtomicU64,
}

/// What they were at one moment. Each only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of layers that came from registries, also of pulls that failed afterwards.
    pub pulled_bytes: u64,
    /// Vertices of builds (steps, sources) that were made.
    pub steps_made: u64,
    /// Those that the build cache had.
    pub steps_cached: u64,
    /// Builds that a step has ended, or their client.
    pub builds_failed: u64,
    /// Health checks' probes.
    pub probes: u64,
    /// Those that have failed, or took too long.
    pub probes_failed: u64,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Counters {
    /// Bytes of a layer have arrived.
    pub(crate) fn pulled(&self, bytes: usize) {
        add(&self.pulled_bytes, bytes as u64);
    }

    /// A build's graph was solved, or was not.
    pub(crate) fn built(&self, result: &Result<Solved, Failure>) {
        match result {
            Ok(solved) => {
                let cached = solved.made.values().filter(|made| made.cached).count();
                add(&self.steps_cached, cached as u64);
                add(&self.steps_made, (solved.made.len() - cached) as u64);
            }
            Err(_) => add(&self.builds_failed, 1),
        }
    }

    /// A probe has ended.
    pub(crate) fn probed(&self, good: bool) {
        add(&self.probes, 1);
        if !good {
            add(&self.probes_failed, 1);
        }
    }

    fn now(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            pulled_bytes: of(&self.pulled_bytes),
            steps_made: of(&self.steps_made),
            steps_cached: of(&self.steps_cached),
            builds_failed: of(&self.builds_failed),
            probes: of(&self.probes),
            probes_failed: of(&self.probes_failed),
        }
    }
}

impl Engine {
    /// What it has done until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.now()
    }
}
