//! What the shim holds for the next daemon beside the sockets themselves.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::parked::Parked;
use super::pending::Pending;

/// Questions and connections that must not end with a daemon.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) pending: Arc<Pending>,
    pub(super) parked: Parked,
}

impl Spare {
    /// With nothing in it.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { pending: Arc::new(Pending::new()?), parked: Parked::new()? })
    }

    /// A former daemon's, as [`Spare::copies`] gave them away.
    ///
    /// # Errors
    /// They are not three; no random numbers.
    pub(super) fn at(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let [memory, into, out] = fds
            .try_into()
            .map_err(|_others| io::Error::other("the resolver's memory is not what is expected"))?;
        Ok(Self { pending: Arc::new(Pending::at(memory)), parked: Parked::at([into, out])? })
    }

    /// Copies of the descriptors.
    ///
    /// # Errors
    /// There are none left.
    pub(super) fn copies(&self) -> io::Result<Vec<OwnedFd>> {
        let [into, out] = self.parked.ends();
        [self.pending.memory(), into, out].into_iter().map(OwnedFd::try_clone).collect()
    }
}
