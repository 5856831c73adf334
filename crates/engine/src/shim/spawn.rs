//! Starting a shim, and finding one again.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socketpair};
use shim::protocol::SOCKET;
use sys::process::Child;
use sys::spawn::Command;
use tokio::io::unix::AsyncFd;

use super::ShimError;
use super::newborn::Newborn;

/// What a new shim needs.
#[derive(Debug, Clone, Copy)]
pub struct SpawnOptions<'a> {
    /// The `berth-shim` program.
    pub program: &'a Path,
    /// The container's id; it is seen in the process list.
    pub id: &'a str,
    /// The shim's state directory, `<exec root>/shim/<id>`; made here with mode 0700. The caller removes it
    /// when the shim is gone.
    pub state_dir: &'a Path,
}

/// Run the program; our end of its first connection. The shim makes itself a session of its own, so the
/// daemon only has to reap it.
pub(super) fn spawn(options: &SpawnOptions<'_>) -> Result<(UnixStream, Arc<Newborn>), ShimError> {
    let path_error = |what, path: &Path| {
        let path = path.to_owned();
        move |source| ShimError::Path { what, path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(options.state_dir)
        .map_err(path_error("create directory", options.state_dir))?;
    let listener = listen(options.state_dir)
        .map_err(io::Error::from)
        .map_err(path_error("listen in", options.state_dir))?;
    let stderr = stderr_file(options.state_dir).map_err(path_error("create file in", options.state_dir))?;
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(io::Error::from)
        .map_err(ShimError::system("socketpair"))?;
    let newborn = Newborn::expect();
    let child = start(options, far.as_fd(), listener.as_fd(), &stderr)
        .map_err(io::Error::from)
        .map_err(path_error("start", options.program))?;
    #[expect(deprecated, reason = "unsound only for types that change their descriptor; an OwnedFd does not")]
    let ended = AsyncFd::new(child.pidfd).map_err(ShimError::system("watch the shim"))?;
    let until_its_end = Arc::clone(&newborn);
    tokio::spawn(async move {
        if ended.readable().await.is_ok() {
            // how it ended is seen by its connection's end, and in the container's exit record
            let _ = sys::process::try_wait(ended.get_ref());
        }
        drop(until_its_end);
    });
    Ok((near.into(), newborn))
}

/// The socket that later daemons connect to. It is made here and not by the shim: whenever a shim lives it can be
/// found, even by a daemon that comes up while the shim of its killed predecessor has not run one instruction.
fn listen(state_dir: &Path) -> sys::Result<OwnedFd> {
    let dir = rustix::fs::open(state_dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // of a former shim in the same directory
    let _ = rustix::fs::unlinkat(&dir, SOCKET, rustix::fs::AtFlags::empty());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // through the descriptor, since the directory's own path may be longer than an address
    let path = format!("{}/{SOCKET}", sys::fd::proc_path(&dir));
    rustix::net::bind(&listener, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 8;

fn start(
    options: &SpawnOptions<'_>,
    socket: BorrowedFd<'_>,
    listener: BorrowedFd<'_>,
    stderr: &File,
) -> sys::Result<Child> {
    // what a container finds as /proc/PID/exe of its first process must not be writable
    let program = sys::program::sealed(options.program)
        .map_err(|e| sys::Errno::from_io_error(&e).unwrap_or(sys::Errno::IO))?;
    let mut command = Command::new(sys::fd::proc_path(&program), "berth-shim")?;
    command.arg(options.state_dir)?.arg(options.id)?;
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            let mut assignment = OsString::from(name);
            assignment.push("=");
            assignment.push(value);
            command.env(assignment)?;
        }
    }
    command.map(socket, 0).map(listener, 1).map(stderr.as_fd(), 2).new_session();
    command.spawn()
}

/// What outside runtimes want to know of the daemon's environment, and the shim itself.
const PASSED_ON: [&str; 6] =
    ["PATH", "HOME", "XDG_RUNTIME_DIR", "DBUS_SYSTEM_BUS_ADDRESS", "LANG", sys::cgroup::DELEGATED];

/// Where a shim's last words go, should it panic.
fn stderr_file(state_dir: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(state_dir.join("stderr"))
}

/// Connect to the socket in `state_dir`, addressed through a descriptor so that the path may be of any length.
pub(super) fn connect(state_dir: &Path) -> Result<UnixStream, ShimError> {
    let dir: OwnedFd = match File::open(state_dir) {
        Ok(dir) => dir.into(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ShimError::Gone),
        Err(source) => return Err(ShimError::Path { what: "open", path: state_dir.to_owned(), source }),
    };
    match UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())) {
        Ok(socket) => Ok(socket),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Err(ShimError::Gone)
        }
        Err(source) => {
            Err(ShimError::Path { what: "connect to the shim in", path: state_dir.to_owned(), source })
        }
    }
}
