//! The pause between "created" and "started", and what becomes of the process when its maker dies.

use sys::Errno;
use sys::process::close_all_except;
use sys::signal::Signal;

use super::labels::Labels;
use crate::error::{Context, Error, Result};
use crate::link::{Link, Message};

/// Reports the failed step; the exit code.
pub(super) fn fail(link: &Link, error: Error) -> i32 {
    // nobody is left to tell if this fails
    let _ = link.send(&Message::Failed(error));
    1
}

/// Asks for a signal at the maker's death. After the change of user, which clears the request.
pub(super) fn parent_death(signal: Option<Signal>, link: &Link) -> Result<()> {
    if signal.is_none() {
        return Ok(());
    }
    sys::process::set_parent_death_signal(signal).step("parent death signal", "")?;
    // it may have died just before: then its end of the socket is closed
    let mut poll = [rustix::event::PollFd::new(&link.0, rustix::event::PollFlags::HUP)];
    let none = rustix::time::Timespec::default();
    match rustix::event::poll(&mut poll, Some(&none)) {
        Ok(0) => Ok(()),
        Ok(_) if poll[0].revents().contains(rustix::event::PollFlags::HUP) => {
            Err(Error::text("parent death signal", "the parent has ended"))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(e).step("parent death signal", ""),
    }
}

/// Closes everything that the maker had open: a container that waits for its start for a day must not keep the ends of
/// pipes that others wait on.
pub(super) fn close_inherited(
    link: &Link,
    socket: Option<std::os::fd::BorrowedFd<'_>>,
    labels: &Labels,
    preserve: u32,
) -> Result<()> {
    use std::os::fd::AsFd;
    let mut keep = vec![link.0.as_fd()];
    keep.extend(socket);
    keep.extend(labels.fds());
    close_all_except(3 + preserve, &keep).step("close descriptors", "")
}

/// Says "created" and waits for the start, from the maker or from whoever connects to the start socket.
pub(super) fn wait(socket: Option<std::os::fd::BorrowedFd<'_>>, link: &mut Link) -> Result<()> {
    link.send(&Message::Created)?;
    let Some(socket) = socket else {
        return match link.recv()? {
            Some(Message::Start) => Ok(()),
            _ => Err(Error::text("wait for start", "the runtime has ended")),
        };
    };
    loop {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        match rustix::net::accept_with(socket, flags) {
            // the maker's end of the first link is closed when the new one takes its place
            Ok(connection) => *link = Link(connection),
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(e) => return Err(e).step("wait for start", "accept"),
        }
        if let Ok(Some(Message::Start)) = link.recv() {
            return Ok(());
        }
    }
}
