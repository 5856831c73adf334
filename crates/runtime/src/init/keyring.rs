//! A session keyring of the container's own: else it would have the runtime's, with the host's keys.

use sys::Errno;

use crate::error::{Error, Result};

/// Joins a new one; a kernel without keyrings and a user with too many of them are no obstacle.
pub(super) fn join(id: &str) -> Result<()> {
    match sys::keyring::join_new_session(&format!("_ses.{id}")) {
        Ok(()) | Err(Errno::NOSYS | Errno::DQUOT | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(Error::errno("session keyring", "", errno)),
    }
}

/// A nameless one, for a further process: it must not have the runtime's either.
pub(super) fn join_anonymous() -> Result<()> {
    match sys::keyring::join_anonymous() {
        Ok(()) | Err(Errno::NOSYS | Errno::DQUOT | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(Error::errno("session keyring", "", errno)),
    }
}
