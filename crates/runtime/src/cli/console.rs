//! Giving the terminal's master to whoever listens at `--console-socket`.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result};

/// Sends it with the name that the other side may show.
pub(crate) fn send(socket: &str, master: BorrowedFd<'_>) -> Result<()> {
    let stream = UnixStream::connect(socket).with_context(|| format!("console socket {socket}"))?;
    sys::fd::send(stream.as_fd(), b"/dev/ptmx", &[master])
        .with_context(|| format!("console socket {socket}"))?;
    Ok(())
}
