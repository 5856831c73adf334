//! The `unified` map of a runtime specification: control files by name.

use std::collections::BTreeMap;

use super::super::dir::Dir;
use super::super::{Error, Result};

pub(super) fn apply(dir: &Dir, files: &BTreeMap<String, String>) -> Result<()> {
    for (file, text) in files {
        check(dir, file)?;
        // Files with one line per device take one line per write.
        text.lines().try_for_each(|line| dir.write(file, line))?;
    }
    Ok(())
}

/// A name that leaves the directory, or one of the core files that would move or kill processes, is not
/// a limit.
fn check(dir: &Dir, file: &str) -> Result<()> {
    let reason = if file.contains('/') || !file.contains('.') || file.starts_with('.') {
        "is not the name of a control file"
    } else if file.starts_with("cgroup.") && !file.starts_with("cgroup.max.") {
        "is a core file of the kernel, not a limit"
    } else if !dir.has(file) {
        "no such control file here: the controller is missing or not enabled"
    } else {
        return Ok(());
    };
    Err(Error::Unsupported { setting: file.to_owned(), reason })
}
