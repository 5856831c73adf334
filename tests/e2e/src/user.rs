//! The ordinary user whose daemons tests start instead of root's, if `BERTH_TEST_USER` has his number: he is in
//! `/etc/passwd` and has subordinate ids, and our programs lie where he can run them. The tests themselves stay root's,
//! for they look at what only root sees.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::programs;

/// His number.
pub fn number() -> Option<u32> {
    static NUMBER: OnceLock<Option<u32>> = OnceLock::new();
    *NUMBER.get_or_init(|| std::env::var("BERTH_TEST_USER").ok()?.parse().ok())
}

/// Gives him a place, and what is in it.
pub fn give(place: &Path) -> Result<()> {
    let Some(user) = number() else { return Ok(()) };
    std::os::unix::fs::chown(place, Some(user), Some(user))
        .with_context(|| format!("cannot give {} to a user", place.display()))
}

/// A program that he runs, or root where there is no such user; what it keeps beside its own place is in `home`.
pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(program: &Path, args: I, home: &Path) -> Command {
    let Some(user) = number().map(|user| user.to_string()) else { return programs::command(program, args) };
    let mut command = programs::command(Path::new("setpriv"), ["--reuid", &user, "--regid", &user]);
    command.args(["--clear-groups", "--"]).arg(program).args(args);
    command.env("HOME", home);
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", home);
    }
    command
}
