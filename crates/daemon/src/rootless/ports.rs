//! The process that opens published ports on the host: it stays where the user is, with the user's rights, and lives as
//! long as the daemon. What it has opened is held by containers' shims, and lives as long as they do.

use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use engine::HostPorts;
use sys::process::CloneOptions;

/// Begins it; the end of the pair that it listens at is closed with the last copy of the one that comes back.
///
/// # Errors
/// The kernel refuses.
pub(super) fn begin() -> Result<OwnedFd> {
    let (ours, theirs) = sys::fd::message_pair()?;
    let mut ours = Some(ours);
    let (end, mut theirs) = (&mut ours, Some(theirs));
    sys::process::clone3(&CloneOptions::default(), || {
        *end = None;
        theirs.take().map_or(1, |socket| serve(&socket))
    })
    .context("cannot begin the process that opens ports on the host")?;
    ours.context("the socket is gone")
}

fn serve(socket: &OwnedFd) -> i32 {
    // no terminal's keys
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"berth-ports");
    let _ = rustix::process::chdir("/");
    // none of the files that its maker had open, the streams included
    let _ = sys::process::close_all_except(0, &[socket.as_fd()]);
    HostPorts::serve(socket);
    0
}

/// Takes up the socket that the daemon was begun again with, in place of its standard input.
///
/// # Errors
/// The kernel refuses.
pub(super) fn inherited() -> Result<Option<OwnedFd>> {
    let stdin = rustix::stdio::stdin();
    let kind = rustix::net::sockopt::socket_type(stdin);
    if kind != Ok(rustix::net::SocketType::SEQPACKET) {
        return Ok(None);
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let null = std::fs::File::open("/dev/null").context("cannot open /dev/null")?;
    // nobody else may hold it: that process lives as long as any copy does
    rustix::stdio::dup2_stdin(&null)?;
    Ok(Some(socket))
}
