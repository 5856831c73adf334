//! `berth` as a program, against a daemon of canned answers and beside the real `docker` client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on should stop with a panic"
)]

mod compare;
mod fake;
mod help;
mod registry;
mod run;
