//! Policies against signatures, good and forged. Keys, certificates and signatures are openssl's: nothing here is
//! made by the code that is tested.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bundle;
mod keyless;
mod policy;
mod simple;
mod workshop;
