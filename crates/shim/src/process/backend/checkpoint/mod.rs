//! Processes written to disk and brought back, by the program `criu`.
//!
//! What lies outside of the processes is *external* to it: CRIU writes down a key in place of the thing, and is handed
//! the thing under that key when it brings the processes back. These are the streams, the network namespace, and every
//! mount that is not a file system of the container's own. The shim waits for each call: the container is frozen meanwhile.

mod carried;
mod dump;
mod mounts;
mod restore;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sys::process::Exit;

use super::io_failed;
use crate::process::container::failed;
use crate::protocol::ErrorReply;

pub(in crate::process) use carried::Streams;
pub(in crate::process) use dump::dump;
pub(super) use restore::restore;

/// The key of the network namespace.
const NETWORK: &str = "berth-network";
/// What CRIU reports, in the work directory.
const LOG: &str = "criu.log";
/// What CRIU says before it has opened its log, in the work directory.
const LAST_WORDS: &str = "criu.out";
/// Most of a log that is looked at, bytes.
const MAX_LOG: usize = 4 << 20;

/// The shim's directory by name: CRIU opens it anew.
fn work_directory(state_dir: &File) -> Result<PathBuf, ErrorReply> {
    std::fs::read_link(sys::fd::proc_path(state_dir)).map_err(io_failed("find the state directory"))
}

/// The words that both verbs begin with.
fn words(verb: &str, images: &Path, work: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![verb.into()];
    words.extend(["--images-dir".into(), images.into(), "--work-dir".into(), work.into()]);
    words.extend(["--log-file", LOG, "--manage-cgroups=ignore"].map(Into::into));
    words
}

/// `--external KIND[WHAT]:KEY`
fn external(words: &mut Vec<OsString>, text: String) {
    words.extend(["--external".into(), text.into()]);
}

/// A new file for what a call says.
fn last_words(work: &Path) -> Result<File, ErrorReply> {
    // what an earlier call wrote is not about this one
    let _ = std::fs::remove_file(work.join(LOG));
    File::create(work.join(LAST_WORDS)).map_err(io_failed("make a file for criu's messages"))
}

/// What the end of a call means.
fn judge(verb: &str, ended: io::Result<Exit>, work: &Path) -> Result<(), ErrorReply> {
    if ended.map_err(io_failed("run criu"))? == Exit::Code(0) {
        return Ok(());
    }
    let read = |name| sys::file::read_bounded(work.join(name), MAX_LOG).unwrap_or_default();
    let (log, said) = (read(LOG), read(LAST_WORDS));
    let (log, said) = (String::from_utf8_lossy(&log), String::from_utf8_lossy(&said));
    let reason = reason(&log).or_else(|| reason(&said)).unwrap_or("no reason was given");
    Err(failed(&format!("criu {verb}"), reason))
}

/// The last line that says why: CRIU's very last one says only that it failed.
fn reason(log: &str) -> Option<&str> {
    let errors = || log.lines().rev().filter(|line| line.contains("Error")).map(untimed);
    let telling = |line: &&str| !line.ends_with("FAILED.");
    let last = || log.lines().rev().map(untimed).find(|line| !line.is_empty());
    errors().find(telling).or_else(|| errors().next()).or_else(last)
}

/// The line without `(00.031055)` in front.
fn untimed(line: &str) -> &str {
    let rest = line.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    match rest {
        Some((time, rest)) if time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => rest.trim(),
        _ => line.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_is_given() {
        let log = "(00.01) Error (criu/a.c:1): first\n(00.02) Error (criu/mount.c:753): mnt: no root\n\
                   (00.03) Unseizing\n(00.04) Error (criu/cr-dump.c:2111): Dumping FAILED.\n";
        assert_eq!(reason(log), Some("Error (criu/mount.c:753): mnt: no root"));
        assert_eq!(reason("(00.1) Error (x): Restoring FAILED.\n"), Some("Error (x): Restoring FAILED."));
        assert_eq!(reason("criu: unknown option\n\n"), Some("criu: unknown option"));
        assert_eq!(reason(""), None);
    }
}
