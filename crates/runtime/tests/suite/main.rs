//! `berth-oci` on bundles made from busybox, as root. Each test ends with a check that nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod bundle;
mod errors;
mod exec;
mod hooks;
mod hostile;
mod lifecycle;
mod mounts;
mod namespaces;
mod privileges;
mod restrict;
mod terminal;
mod userns;
