//! Any of the targets: the program's name says which.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check(env!("CARGO_BIN_NAME"), data));
