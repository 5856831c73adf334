//! berth-shim
fn main() {}
