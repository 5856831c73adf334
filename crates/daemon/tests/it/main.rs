//! berthd as a program: a private daemon, and HTTP spoken to it by hand.

mod common;
mod http;
mod life;
