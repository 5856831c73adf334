//! The requirements of the OCI distribution specification 1.1, each in a test that is named after its section, over real
//! HTTP; and what a registry must withstand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod broken_upstream;
mod buckets;
mod content_discovery;
mod content_management;
mod error_codes;
mod garbage;
mod page;
mod pulling;
mod pushing_blobs;
mod pushing_manifests;
mod retention;
mod rights;
mod storms;
mod support;
mod tls;
mod upstream;
mod watching;
