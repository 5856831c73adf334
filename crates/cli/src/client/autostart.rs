//! Starts `berthd` for a user who may, when nobody listens on the default socket.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::host::DEFAULT_SOCKET;
use crate::error::{Error, Result};

const LOG: &str = "/var/log/berthd.log";

/// Whether starting a daemon can mend this error, and this user may.
pub(super) fn applies(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused) && rustix::process::geteuid().is_root()
}

/// Starts the daemon and waits until it listens. Of several callers at once one starts it and the
/// others wait for that one.
pub(super) fn start() -> Result<()> {
    let socket = Path::new(DEFAULT_SOCKET);
    let lock = lock_beside(socket).map_err(Error::io("prepare /run/berth"))?;
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Ok(());
    }
    if io::stderr().is_terminal() {
        drop(writeln!(io::stderr(), "Starting berthd (its log: {LOG})"));
    }
    let result = spawn();
    drop(lock);
    result
}

fn lock_beside(socket: &Path) -> io::Result<File> {
    let dir = socket.parent().unwrap_or(Path::new("/run"));
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("start.lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// `--ready-fd 1`: the daemon detaches into its own session, writes one byte to this descriptor
/// when it listens, and closes it.
fn spawn() -> Result<()> {
    let program = program();
    let failed = |what: &str| format!("cannot start {}: {what}", program.display());
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(LOG)
        .map_err(Error::io(format!("open {LOG}")))?;
    let (mut ready, their_end) = io::pipe().map_err(Error::io("make a pipe"))?;
    Command::new(&program)
        .args(["--ready-fd", "1"])
        .stdin(Stdio::null())
        .stdout(their_end)
        .stderr(log)
        .current_dir("/")
        .spawn()
        .map_err(|error| Error::said(failed(&crate::error::reason(&error))))?;
    let mut byte = [0];
    match ready.read(&mut byte) {
        Ok(1) => Ok(()),
        _ => Err(Error::said(failed(&format!("it ended before it was ready; see {LOG}")))),
    }
}

/// `berthd` beside this program, else the one in `PATH`.
fn program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("berthd"))
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("berthd"))
}
