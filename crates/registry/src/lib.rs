//! The OCI distribution protocol (specification 1.1, and Docker's schema 2): the client that pulls and pushes, and
//! the registry that `berth registry serve` runs.

pub mod client;
pub mod protocol;
pub mod server;
