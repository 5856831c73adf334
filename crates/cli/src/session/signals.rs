//! Signals as data: passed on to the container, or the reason to resize or leave.

use std::os::fd::{AsFd, BorrowedFd};

use api::Action;
use sys::signal::{Signal, SignalFd};

use super::terminal;
use crate::client::Client;
use crate::error::{Error, Result};

/// Signals that tell of this process alone (faults, children, its own pipes).
const OWN: [i32; 10] = [4, 5, 6, 7, 8, 11, 13, 17, 23, 31];

/// What `docker` forwards is everything else.
fn forwarded() -> Vec<Signal> {
    (1..=31)
        .filter(|number| !OWN.contains(number))
        .filter_map(Signal::from_number)
        .filter(|signal| *signal != Signal::KILL && *signal != Signal::STOP)
        .collect()
}

/// The signals of one session.
pub(crate) struct Signals {
    fd: SignalFd,
    proxy: bool,
    /// Where a change of the terminal's size goes.
    resize: Option<Action>,
    /// The container, or the exec session.
    id: String,
}

impl Signals {
    /// Takes signals over from their default actions. With `proxy` they go to container `id`; with
    /// `resize`, SIGWINCH sets the size of that container's or exec session's terminal. `None`: there
    /// is nothing to do, and signals keep their default actions.
    pub(crate) fn new(id: &str, proxy: bool, resize: Option<Action>) -> Result<Option<Self>> {
        let mask = match (proxy, resize) {
            (true, _) => forwarded(),
            // A raw terminal must be restored before this process ends.
            (false, Some(_)) => vec![Signal::WINCH, Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM],
            (false, None) => return Ok(None),
        };
        let fd = SignalFd::new(&mask)
            .map_err(|error| Error::Io { what: "take signals".into(), error: error.into() })?;
        Ok(Some(Self { fd, proxy, resize, id: id.to_owned() }))
    }

    /// Deals with what is pending.
    pub(crate) fn handle(&self, client: &Client) -> Result<()> {
        while let Ok(Some(signal)) = self.fd.next() {
            if signal == Signal::WINCH {
                self.resize(client);
            } else if self.proxy {
                // The container may have ended meanwhile: its end is what will be reported.
                drop(client.call(Action::ContainerKill, &self.id).query("signal", &signal.name()).done());
            } else {
                return Err(Error::Exit(128 + u8::try_from(signal.number()).unwrap_or(0)));
            }
        }
        Ok(())
    }

    /// Tells the daemon the terminal's size; that the container has just ended is no error.
    pub(crate) fn resize(&self, client: &Client) {
        if let (Some(action), Some((rows, columns))) = (self.resize, terminal::size()) {
            let request = client.call(action, &self.id);
            drop(request.query("h", &rows.to_string()).query("w", &columns.to_string()).done());
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Back to default actions; nothing can be done when that fails.
        let _ = sys::signal::block_only(&[]);
    }
}
