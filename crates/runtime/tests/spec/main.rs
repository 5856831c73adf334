//! The requirements of the OCI runtime specification (1.2 and what 1.3 has added for what `berth-oci` knows), one test
//! for each MUST, MUST NOT and SHALL that can be tried from outside, by runc's command line and nothing else. Every
//! one is tried on `berth-oci`, and on Debian's runc and crun: a requirement that all three keep is no invention of
//! ours, and one of which they are known to depart must fail with them, so that the test is seen to be able to.
//!
//! `docs/oci-runtime.md` is written from this table: `BERTH_WRITE_DOCS=1 cargo test -p runtime --test spec document`.
//! `BERTH_SPEC_PROGRAM=/path/to/runtime` puts another program into the place of `berth-oci`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

#[macro_use]
mod requirement;

mod bundle;
mod document;
mod subject;

mod config;
mod devices;
mod errors;
mod hooks;
mod lifecycle;
mod mounts;
mod namespaces;
mod operations;
mod options;
mod process;
mod resources;
mod seccomp;
mod state;
