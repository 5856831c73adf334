//! From a fresh process to the loop.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sys::signal::{Signal, SignalFd};

use super::container::fd_path;
use super::server::Server;
use super::token::{Poller, Token};
use crate::log;
use crate::protocol::SOCKET;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 8;

/// The whole program: arguments without the program's name; the exit code.
///
/// # Errors
/// Something without which no container can be kept, as text for the daemon's file of last words.
pub fn run(mut args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let usage = "usage: berth-shim STATE-DIRECTORY CONTAINER-ID (started by berthd)";
    let (Some(first), Some(second)) = (args.next(), args.next()) else { return Err(usage.to_owned()) };
    if first == log::COMPRESS_VERB {
        return log::compress(second.as_ref()).map_err(|e| format!("compress {}: {e}", second.display()));
    }
    let state_dir = File::open(&first).map_err(|e| format!("open {}: {e}", first.display()))?;
    let mut server = prepare(state_dir).map_err(|e| format!("set up: {e}"))?;
    server.serve().map_err(|e| format!("wait: {e}"))
}

fn prepare(state_dir: File) -> io::Result<Server> {
    // it was run by a descriptor, whose number would be its name in process lists
    rustix::thread::set_name(c"berth-shim")?;
    // fails only for a group leader, which then is what we want
    let _ = rustix::process::setsid();
    // out of the group of an ordinary user's daemon, which may be a service's and end with it
    if let Some(part) = sys::cgroup::Delegated::told().map_err(io::Error::other)? {
        part.take_in(std::process::id().cast_signed()).map_err(io::Error::other)?;
    }
    // whatever the daemon has let slip through is not for the container
    sys::process::close_on_exec_from(3)?;
    rustix::process::chdir("/")?;
    sys::process::become_subreaper()?;
    let poller = Poller::new()?;
    // everything but SIGCHLD stays blocked and unread: only SIGKILL ends a shim from outside
    let signals = SignalFd::new(&Signal::all_catchable())?;
    poller.add(&signals, Token::Signals, rustix::event::epoll::EventFlags::IN)?;
    let listener = listener(&state_dir)?;
    poller.add(&listener, Token::Listener, rustix::event::epoll::EventFlags::IN)?;
    let mut server = Server::new(poller, signals, listener, state_dir);
    server.add_daemon(first_connection()?);
    Ok(server)
}

fn listen(state_dir: &File) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // of a former shim in the same directory
    let _ = rustix::fs::unlinkat(state_dir, SOCKET, rustix::fs::AtFlags::empty());
    // through the descriptor, since the directory's own path may be longer than an address
    let path = format!("{}/{SOCKET}", fd_path(state_dir.as_fd()));
    rustix::net::bind(&listener, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// The listening socket is standard output: made by the daemon, so that from the first moment of our life whoever
/// looks for us finds us. Who runs us by hand leaves it to us.
fn listener(state_dir: &File) -> io::Result<OwnedFd> {
    // ENOTSOCK is a no
    if !rustix::net::sockopt::socket_acceptconn(io::stdout()).unwrap_or(false) {
        return listen(state_dir);
    }
    let listener = sys::fd::dup_above(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(listener)
}

/// The daemon's connection is standard input; number 0 is filled again, so that no later descriptor gets it.
fn first_connection() -> io::Result<OwnedFd> {
    let socket = sys::fd::dup_above(io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}
