//! Descriptors that the shim holds for its daemon, so that they outlive it.

use std::os::fd::OwnedFd;

use crate::protocol::{ErrorKind, ErrorReply, MAX_FDS};

/// Names at most.
const MAX_NAMES: usize = 8;
/// Longest name.
const MAX_NAME_LEN: usize = 64;

/// What is held, by name.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<(String, Vec<OwnedFd>)>);

impl Kept {
    /// Holds `fds` in place of what was held under `name`.
    pub(super) fn keep(&mut self, name: String, fds: Vec<OwnedFd>) -> Result<(), ErrorReply> {
        let invalid = |what: &str| Err(ErrorReply::new(ErrorKind::Invalid, format!("keep: {what}")));
        if fds.is_empty() || fds.len() > MAX_FDS {
            return invalid("no descriptors, or too many");
        }
        self.0.retain(|(held, _)| *held != name);
        if self.0.len() >= MAX_NAMES || name.len() > MAX_NAME_LEN {
            return invalid("too many names, or too long a one");
        }
        self.0.push((name, fds));
        Ok(())
    }

    /// What is held under `name`.
    pub(super) fn get(&self, name: &str) -> Option<&[OwnedFd]> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, fds)| fds.as_slice())
    }
}
