//! Starts `berthd` for a user who may, when nobody listens on the default socket.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::host::{default_socket, roots_socket};
use crate::error::{Error, Result};

/// Where root's daemon writes what happens; an ordinary user's writes it beside its socket.
fn log_file() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/log/berthd.log");
    }
    default_socket().with_file_name("berthd.log")
}

/// Whether starting a daemon can mend this error, and this user may.
pub(super) fn applies(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    // an ordinary user may start his own
    let own = rustix::process::geteuid().is_root() || default_socket() != roots_socket();
    matches!(error.kind(), NotFound | ConnectionRefused) && own
}

/// Starts the daemon and waits until it listens. Of several callers at once one starts it and the
/// others wait for that one.
pub(super) fn start() -> Result<()> {
    let socket = default_socket();
    let lock = lock_beside(&socket).map_err(Error::io("prepare the place of the daemon's socket"))?;
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return Ok(());
    }
    if let Some(unit) = service() {
        return Err(Error::said(format!("berthd is not running; it is a service: {unit}")));
    }
    if io::stderr().is_terminal() {
        drop(writeln!(io::stderr(), "Starting berthd (its log: {})", log_file().display()));
    }
    let result = spawn();
    drop(lock);
    result
}

/// What starts the daemon where systemd is to run it: with its own options, and not before what it waits for.
fn service() -> Option<&'static str> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    if rustix::process::geteuid().is_root() {
        let at =
            ["/etc", "/run", "/usr/local/lib", "/usr/lib"].map(|root| Path::new(root).join("systemd/system"));
        return (systemd && has_unit(&at)).then_some("systemctl start berth");
    }
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    let own = ["/etc", "/run", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).into_iter().chain(config);
    let at: Vec<PathBuf> = own.map(|root| root.join("systemd/user")).collect();
    (systemd && has_unit(&at)).then_some("systemctl --user start berth")
}

/// Whether the daemon's unit is in one of these folders; one that is masked leads to no file.
fn has_unit(folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| folder.join("berth.service").is_file())
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

/// `--ready-fd 3`: the daemon writes one byte to this descriptor when it listens. It leads a session
/// of its own, so that neither this terminal's keys nor its end reach it.
fn spawn() -> Result<()> {
    let program = program();
    let failed = |what: &str| Error::said(format!("cannot start {}: {what}", program.display()));
    let path = log_file();
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(&path)
        .map_err(Error::io(format!("open {}", path.display())))?;
    let null = File::open("/dev/null").map_err(Error::io("open /dev/null"))?;
    let (mut ready, their_end) = io::pipe().map_err(Error::io("make a pipe"))?;
    let started = || -> rustix::io::Result<()> {
        let mut command = sys::spawn::Command::new(&program, "berthd")?;
        command.arg("--ready-fd")?.arg("3")?;
        for (name, value) in std::env::vars_os() {
            let mut assignment = name;
            assignment.push("=");
            assignment.push(value);
            command.env(assignment)?;
        }
        command.map(null.as_fd(), 0).map(log.as_fd(), 1).map(log.as_fd(), 2).map(their_end.as_fd(), 3);
        // Nobody waits for it here: it outlives this process.
        command.new_session().spawn().map(drop)
    };
    started().map_err(|error| failed(&crate::error::reason(&error.into())))?;
    drop(their_end);
    match ready.read(&mut [0]) {
        Ok(1) => Ok(()),
        _ => Err(failed(&format!("it ended before it was ready; see {}", path.display()))),
    }
}

/// `berthd` beside this program, else the first one in `PATH`.
pub(crate) fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("berthd"));
    beside
        .filter(|path| path.is_file())
        .or_else(|| sys::spawn::in_path("berthd"))
        .unwrap_or_else(|| "/usr/bin/berthd".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_unit_is_none() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| place.path().join(name));
        std::fs::create_dir(&first).unwrap();
        std::os::unix::fs::symlink("/dev/null", first.join("berth.service")).unwrap();
        assert!(!has_unit(&[first.clone(), second.clone()]));
        std::fs::create_dir(&second).unwrap();
        std::fs::write(second.join("berth.service"), "[Service]").unwrap();
        assert!(has_unit(&[first, second]));
    }
}
