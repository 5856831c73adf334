//! Disks: files that hold a file system, made without mounting anything.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run;

/// Makes `disk`, an ext4 file system (with a journal) of `size` bytes (sparse) with the contents of `tree`.
pub(super) fn from_tree(disk: &Path, tree: &Path, size: u64) -> Result<()> {
    let file = std::fs::File::create(disk)?;
    file.set_len(size)?;
    let mut command = Command::new("/usr/sbin/mke2fs");
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-E",
        "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0",
        "-d",
    ]);
    run::run(command.arg(tree).arg(disk).stdout(Stdio::null()))
}
