//! What the new process and its maker say to each other, over a socket pair that keeps message borders.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::Errno;

use crate::error::{Context, Error, Kind, Result};

/// Longest message: an error with two paths in it fits.
const MAX_MESSAGE: usize = 16 * 1024;

/// One message.
#[derive(Debug)]
pub(crate) enum Message {
    /// To the child: mappings are written; this is its number outside.
    Go(i32),
    /// To the child: the hooks have run.
    HooksDone,
    /// To the child: become the program.
    Start,
    /// To the maker: namespaces are there, run the hooks of the runtime's namespaces.
    HooksDue,
    /// To the maker, from the stage process: the container's first process, and its pidfd.
    Born(i32, OwnedFd),
    /// To the maker: master of the terminal.
    Console(OwnedFd),
    /// To the maker: the seccomp notification descriptor.
    Notify(OwnedFd),
    /// To the maker: waiting for the start.
    Created,
    /// To the maker: a step failed, this process ends.
    Failed(Error),
}

const GO: u8 = 1;
const HOOKS_DONE: u8 = 2;
const START: u8 = 3;
const HOOKS_DUE: u8 = 4;
const BORN: u8 = 5;
const CONSOLE: u8 = 6;
const NOTIFY: u8 = 7;
const CREATED: u8 = 8;
const FAILED: u8 = 9;

fn encode(message: &Message) -> (Vec<u8>, Option<BorrowedFd<'_>>) {
    let number = |tag: u8, n: i32| [&[tag][..], &n.to_ne_bytes()].concat();
    match message {
        Message::Go(pid) => (number(GO, *pid), None),
        Message::HooksDone => (vec![HOOKS_DONE], None),
        Message::Start => (vec![START], None),
        Message::HooksDue => (vec![HOOKS_DUE], None),
        Message::Born(pid, fd) => (number(BORN, *pid), Some(fd.as_fd())),
        Message::Console(fd) => (vec![CONSOLE], Some(fd.as_fd())),
        Message::Notify(fd) => (vec![NOTIFY], Some(fd.as_fd())),
        Message::Created => (vec![CREATED], None),
        Message::Failed(error) => (encode_error(error), None),
    }
}

/// tag, kind, errno, step, NUL, detail
pub(crate) fn encode_error(error: &Error) -> Vec<u8> {
    let kind = match error.kind {
        Kind::NotFound => 0,
        Kind::NotExecutable => 1,
        Kind::Invalid => 2,
        Kind::Step => 3,
    };
    let mut bytes = vec![FAILED, kind];
    bytes.extend(error.errno.map_or(0, Errno::raw_os_error).to_ne_bytes());
    bytes.extend(error.step.bytes().filter(|b| *b != 0));
    bytes.push(0);
    bytes.extend(error.detail.bytes());
    bytes.truncate(MAX_MESSAGE);
    bytes
}

fn decode_error(bytes: &[u8]) -> Option<Error> {
    let (head, text) = bytes.split_first_chunk::<5>()?;
    let kind = match head[0] {
        0 => Kind::NotFound,
        1 => Kind::NotExecutable,
        2 => Kind::Invalid,
        _ => Kind::Step,
    };
    let errno = i32::from_ne_bytes([head[1], head[2], head[3], head[4]]);
    let cut = text.iter().position(|b| *b == 0)?;
    Some(Error {
        kind,
        step: String::from_utf8_lossy(&text[..cut]).into_owned(),
        detail: String::from_utf8_lossy(&text[cut + 1..]).into_owned(),
        errno: (errno != 0).then(|| Errno::from_raw_os_error(errno)),
    })
}

pub(crate) fn decode(bytes: &[u8], mut fds: Vec<OwnedFd>) -> Option<Message> {
    let (tag, rest) = bytes.split_first()?;
    let number = || Some(i32::from_ne_bytes(rest.try_into().ok()?));
    Some(match *tag {
        GO => Message::Go(number()?),
        HOOKS_DONE => Message::HooksDone,
        START => Message::Start,
        HOOKS_DUE => Message::HooksDue,
        BORN => Message::Born(number()?, fds.pop()?),
        CONSOLE => Message::Console(fds.pop()?),
        NOTIFY => Message::Notify(fds.pop()?),
        CREATED => Message::Created,
        FAILED => Message::Failed(decode_error(rest)?),
        _ => return None,
    })
}

/// One end.
#[derive(Debug)]
pub(crate) struct Link(pub(crate) OwnedFd);

impl Link {
    /// Both ends.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (a, b) = sys::fd::message_pair().step("socketpair", "")?;
        Ok((Self(a), Self(b)))
    }

    /// Sends one message.
    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        let (bytes, fd) = encode(message);
        sys::fd::send(&self.0, &bytes, fd.as_slice()).step("report", "").map(drop)
    }

    /// The next message; `None` when the other end is closed.
    pub(crate) fn recv(&self) -> Result<Option<Message>> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let (length, fds) = match sys::fd::recv(&self.0, &mut buffer) {
            // the other side ended with unread messages of ours
            Err(Errno::CONNRESET) => return Ok(None),
            other => other.step("listen", "")?,
        };
        if length == 0 {
            return Ok(None);
        }
        let message = decode(&buffer[..length], fds);
        message.map(Some).ok_or_else(|| Error::text("listen", "a message that makes no sense"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way() {
        let (a, b) = Link::pair().unwrap();
        let error = Error::errno("mount proc", "/proc", Errno::PERM).with_kind(Kind::NotExecutable);
        a.send(&Message::Failed(error.clone())).unwrap();
        let Some(Message::Failed(got)) = b.recv().unwrap() else { panic!() };
        assert_eq!(got, error);
        drop(a);
        assert!(b.recv().unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&[][..], &[0], &[99], &[GO, 1], &[FAILED, 1, 2], &[BORN, 0, 0, 0, 0]] {
            assert!(decode(bytes, Vec::new()).is_none());
        }
    }
}
