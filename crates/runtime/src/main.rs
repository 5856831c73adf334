//! berth-oci: runc's command line over the `runtime` crate.
fn main() {}
