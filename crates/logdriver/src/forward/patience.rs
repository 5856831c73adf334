//! Waiting that never outlasts the container by much.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long is waited for a server after the container's end, as in Docker.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The only way to wait for a server.
pub(crate) struct Patience {
    /// Tells of the end of the container's output.
    end: OwnedFd,
    flags: PollFlags,
    /// Since when it has ended.
    ended: Option<Instant>,
}

/// The container has ended, and its time is up.
#[derive(Debug, thiserror::Error)]
#[error("the container has ended, and the server takes no more")]
struct GivenUp;

/// Whether an error is that.
pub(crate) fn is_given_up(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<GivenUp>()).is_some()
}

impl Patience {
    /// The end is that the peer of this socket sends no more.
    pub(crate) fn until_shut(end: OwnedFd) -> Self {
        Self { end, flags: PollFlags::RDHUP, ended: None }
    }

    /// The end is that nobody holds the writing end of this pipe any more.
    pub(crate) fn until_closed(end: OwnedFd) -> Self {
        Self { end, flags: PollFlags::empty(), ended: None }
    }

    /// Wait until `fd` is ready, at most for `limit`; whether it is.
    ///
    /// # Errors
    /// The container's time is up: see [`is_given_up`].
    pub(crate) fn wait(
        &mut self,
        fd: Option<(BorrowedFd<'_>, PollFlags)>,
        limit: Option<Duration>,
    ) -> io::Result<bool> {
        let limit = limit.map(|limit| Instant::now() + limit);
        loop {
            let give_up = self.ended.map(|ended| ended + GRACE);
            let now = Instant::now();
            if give_up.is_some_and(|at| at <= now) {
                return Err(io::Error::other(GivenUp));
            }
            let left = limit.into_iter().chain(give_up).min().map(|at| at.saturating_duration_since(now));
            let (ready, ended) = self.poll(fd, left)?;
            if ended && self.ended.is_none() {
                self.ended = Some(Instant::now());
            }
            if ready || limit.is_some_and(|at| at <= Instant::now()) {
                return Ok(ready);
            }
        }
    }

    fn poll(
        &self,
        fd: Option<(BorrowedFd<'_>, PollFlags)>,
        left: Option<Duration>,
    ) -> io::Result<(bool, bool)> {
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut fds = Vec::with_capacity(2);
        fds.extend(fd.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        if self.ended.is_none() {
            fds.push(PollFd::from_borrowed_fd(self.end.as_fd(), self.flags));
        }
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let first_is_fd = fd.is_some();
        Ok((first_is_fd && happened(0), self.ended.is_none() && happened(usize::from(first_is_fd))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_and_an_end() {
        let (end, writer) = io::pipe().unwrap();
        let mut patience = Patience::until_closed(end.into());
        assert!(!patience.wait(None, Some(Duration::from_millis(1))).unwrap());
        let (ready, mut ready_writer) = io::pipe().unwrap();
        io::Write::write_all(&mut ready_writer, b"x").unwrap();
        assert!(patience.wait(Some((ready.as_fd(), PollFlags::IN)), None).unwrap());
        drop(writer);
        assert!(!patience.wait(None, Some(Duration::from_millis(1))).unwrap());
        assert!(patience.ended.is_some());
        patience.ended = Instant::now().checked_sub(GRACE);
        assert!(is_given_up(&patience.wait(None, None).unwrap_err()));
    }
}
