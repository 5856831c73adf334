//! What hostile bytes may do to each parser: the targets as plain functions, with what must hold of each input.
//!
//! `cargo fuzz` calls them from `fuzz/` (`cargo xtask fuzz`, which needs a nightly compiler), and `tests/smoke.rs` with
//! a mutator of our own over the same seeds, which needs nothing. A target asserts more than that nothing panics:
//! round trips, another implementation's opinion, that nothing is made outside of a directory. Time and memory are
//! bounded for all of them by [`check`].

mod api;
mod archive;
mod build;
mod host;
mod image;
mod logs;
pub mod mutate;
mod outside;
mod weigh;

use std::path::PathBuf;

/// What hostile bytes are given to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its directory below `seeds`.
    pub name: &'static str,
    /// Takes any bytes, and panics when something is wrong.
    run: fn(&[u8]),
    /// Longest input, in bytes.
    pub longest: usize,
    /// Bytes of memory that an input may make it take, beside 512 for each of its own.
    memory: usize,
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, longest: 4096, memory: 4 << 20 }
}

impl Target {
    const fn longest(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    const fn memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// Where its seeds lie.
    #[must_use]
    pub fn seeds(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(self.name)
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("reference", image::reference),
    target("manifest", image::manifest),
    target("policy", image::policy),
    target("tar", archive::tar).longest(16 << 10),
    target("layer", archive::layer).longest(16 << 10).memory(192 << 20),
    target("decoder", archive::decoder).longest(16 << 10).memory(192 << 20),
    target("dockerfile", build::dockerfile).longest(8 << 10),
    target("dockerignore", build::dockerignore),
    target("llb", build::llb),
    target("fsutil", build::fsutil),
    target("shim", host::shim),
    target("dns", host::dns),
    target("seccomp", host::seccomp).longest(16 << 10),
    target("mount", host::mount),
    target("log", logs::log).longest(16 << 10),
    target("api", api::body).longest(16 << 10),
    target("request", api::request),
    // who asks for much output gets it, within limits; a string that grows has room for twice as much
    target("format", api::format).memory(192 << 20),
    target("registry", outside::registry),
];

/// Processor time that an input may take, in milliseconds: a hundred times what any needs, since a debug build with
/// sanitizers is slow.
const MOST_MILLISECONDS: i64 = 4000;

/// Gives bytes to a target; what they take of time and memory is bounded.
///
/// # Panics
/// There is no such target, or something is wrong.
pub fn check(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| unreachable!("no target {name:?}"));
    if data.len() > target.longest {
        return;
    }
    let (before, start) = (processor_time(), weigh::start());
    (target.run)(data);
    let (peak, took) = (weigh::peak(start), processor_time() - before);
    assert!(took < MOST_MILLISECONDS, "{name}: {} bytes took {took} ms", data.len());
    let most = target.memory + 512 * data.len();
    assert!(peak < most, "{name}: {} bytes took {peak} bytes of memory, more than {most}", data.len());
}

/// Of this thread, in milliseconds.
fn processor_time() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// A directory for what a target makes, in memory where there is such.
fn scratch() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("berth-fuzz-");
    let made = builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir());
    made.unwrap_or_else(|error| unreachable!("no temporary directory: {error}"))
}

/// Cuts at the first line's end.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
