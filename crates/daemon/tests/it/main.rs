//! berthd as a program: a private daemon, and HTTP spoken to it by hand.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at its first surprise"
)]

mod common;
mod http;
mod life;
mod tls;
