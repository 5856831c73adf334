//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to parsers that nobody else outside of this crate
//! may call.

use api::container::Mount;

use crate::flag::check;
use crate::format::template::{Data, Format};
use crate::opts::container::{mount as mount_option, ports, storage};
use crate::opts::kv;

/// One `--mount`.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub fn mount(text: &str) -> Result<Mount, String> {
    mount_option::parse(text)
}

/// What one `-v` takes for the source; nothing where the text is a path inside only.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub fn volume(text: &str) -> Result<Option<&str>, String> {
    storage::source(text)
}

/// One `--publish`: container port, address and host port of each.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub fn publish(text: &str) -> Result<Vec<(String, String, String)>, String> {
    let told = |one: ports::Published| (one.port, one.ip, one.host);
    Ok(ports::publish(text)?.into_iter().map(told).collect())
}

/// One `--expose`.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub fn expose(text: &str) -> Result<Vec<String>, String> {
    ports::expose(text)
}

/// The fields of a line of comma-separated values.
///
/// # Errors
/// Go's sentence about a quote that stands wrong.
pub fn csv(line: &str) -> Result<Vec<String>, String> {
    kv::csv(line)
}

/// A size, a time span in nanoseconds, and billionths of processors, as flags have them.
#[must_use]
pub fn numbers(text: &str) -> [Option<i64>; 3] {
    [check::parse_bytes(text).ok(), check::parse_duration(text).ok(), check::parse_cpus(text).ok()]
}

/// Fills a `--format` in with a JSON document.
///
/// # Errors
/// What is wrong with either, in words.
pub fn format(template: &str, json: &str) -> Result<String, String> {
    let json = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let format = Format::parse(template).map_err(|error| error.to_string())?;
    format.render(Data::from_json(&json)).map_err(|error| error.to_string())
}
