//! The client against registries: Debian's, and small ones that misbehave.

mod debian;
mod support;
