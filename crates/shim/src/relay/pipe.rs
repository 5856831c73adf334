//! Pipes that bytes wait in between two sockets; only those through which something flows have one.

use std::os::fd::OwnedFd;

use rustix::pipe::PipeFlags;

/// Empty pipes that are kept for who needs one next.
const SPARE: usize = 4;

/// Both ends of a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

/// Empty pipes.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

impl Pipes {
    pub(super) fn take(&mut self) -> rustix::io::Result<Pipe> {
        if let Some(pipe) = self.0.pop() {
            return Ok(pipe);
        }
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Pipe { read, write })
    }

    /// Takes back one that is empty.
    pub(super) fn put(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE {
            self.0.push(pipe);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}
