//! Binds that hold the data root, or lie in it: with them a container would keep alive what is mounted there later, so
//! mounts and unmounts must reach it.

use std::path::Path;

use crate::engine::Inner;
use crate::error::{Error, Result};

/// The propagation of a bind; `asked` is empty where nothing was said.
///
/// # Errors
/// Another than `rslave` or `rshared` was asked for.
pub(super) fn propagation(engine: &Inner, source: &str, asked: &str) -> Result<String> {
    if !holds(engine, source) {
        return Ok(if asked.is_empty() { "rprivate".to_owned() } else { asked.to_owned() });
    }
    match asked {
        "" => Ok("rslave".to_owned()),
        "rslave" | "rshared" => Ok(asked.to_owned()),
        _ => Err(Error::bad_parameter(format!(
            "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon root, \
             daemon root: \"{}\", bind mount source: \"{source}\", propagation: \"{asked}\"",
            engine.config.data_root.display()
        ))),
    }
}

fn holds(engine: &Inner, source: &str) -> bool {
    let (root, source) = (engine.config.data_root.as_path(), Path::new(source));
    source.starts_with(root) || root.starts_with(source)
}
