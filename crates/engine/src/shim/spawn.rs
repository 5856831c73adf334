//! Starting a shim, and finding one again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use shim::protocol::SOCKET;
use tokio::process::Command;

use super::ShimError;

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
pub(super) fn spawn(options: &SpawnOptions<'_>) -> Result<UnixStream, ShimError> {
    let path_error = |what, path: &Path| {
        let path = path.to_owned();
        move |source| ShimError::Path { what, path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(options.state_dir)
        .map_err(path_error("create directory", options.state_dir))?;
    let stderr = stderr_file(options.state_dir).map_err(path_error("create file in", options.state_dir))?;
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(io::Error::from)
        .map_err(ShimError::system("socketpair"))?;
    let mut child = Command::new(options.program)
        .arg(options.state_dir)
        .arg(options.id)
        .stdin(Stdio::from(far))
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(path_error("start", options.program))?;
    tokio::spawn(async move { child.wait().await });
    Ok(near.into())
}

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
