//! berthd as a program: a private daemon, and HTTP spoken to it by hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at its first surprise")]

mod common;
mod http;
mod life;
mod tls;
