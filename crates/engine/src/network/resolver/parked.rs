//! Connections over TCP that outlive the daemon: copies of them wait in a pair of unix sockets that the container's
//! shim holds, too. The next daemon finds them there, with whatever was asked over them and not answered.
//!
//! Messages lie in the order in which they came and can be taken from the front alone: those of connections that
//! have ended meanwhile go when there are many. What lies at the front is looked at, laid down again at the end,
//! and only then taken: it may be there twice, and never not at all.

use std::collections::HashSet;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// Messages of ended connections at most, beside as many as connections live.
const MAX_DEAD: usize = 16;
/// Which daemon has laid it down, and which connection of that it is.
const LABEL_LEN: usize = 16;

/// The pair of sockets.
#[derive(Debug)]
pub(super) struct Parked {
    ends: [OwnedFd; 2],
    generation: u64,
    lot: Mutex<Lot>,
}

#[derive(Debug, Default)]
struct Lot {
    last: u64,
    live: HashSet<u64>,
    messages: usize,
}

/// A connection that lies there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// What lies at the front.
struct Front {
    generation: u64,
    number: u64,
    connection: Option<OwnedFd>,
}

impl Parked {
    /// A pair with nothing in it.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        let (into, out) = sys::fd::message_pair()?;
        Self::at([into, out])
    }

    /// The pair of a former daemon: [`Parked::left`] is to be called first.
    ///
    /// # Errors
    /// No random numbers.
    pub(super) fn at(ends: [OwnedFd; 2]) -> io::Result<Self> {
        let generation = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        for end in &ends {
            sys::fd::set_nonblocking(end, true)?;
        }
        Ok(Self { ends, generation, lot: Mutex::default() })
    }

    /// Both ends, to be held elsewhere.
    pub(super) fn ends(&self) -> &[OwnedFd; 2] {
        &self.ends
    }

    /// Lays a copy of a connection down. Nothing when there is no room: it ends with this daemon.
    pub(super) fn park(&self, connection: BorrowedFd<'_>) -> Option<Ticket> {
        self.lay(&mut self.lot(), connection)
    }

    fn lay(&self, lot: &mut Lot, connection: BorrowedFd<'_>) -> Option<Ticket> {
        let number = lot.last + 1;
        self.send(number, connection).ok()?;
        lot.last = number;
        lot.messages += 1;
        lot.live.insert(number);
        Some(Ticket(number))
    }

    /// A connection has ended. It must have been shut down: a copy of it lies there for some time.
    pub(super) fn end(&self, ticket: &Ticket) {
        let mut lot = self.lot();
        lot.live.remove(&ticket.0);
        if lot.messages > 2 * lot.live.len() + MAX_DEAD {
            self.tidy(&mut lot);
        }
    }

    /// The connections of a former daemon that live still; they are this one's from now on.
    pub(super) fn left(&self) -> Vec<(OwnedFd, Option<Ticket>)> {
        let mut lot = self.lot();
        let mut found = Vec::new();
        while let Some(front) =
            self.front(RecvFlags::PEEK).filter(|front| front.generation != self.generation)
        {
            if let Some(connection) = front.connection.filter(|connection| alive(connection.as_fd())) {
                let ticket = self.lay(&mut lot, connection.as_fd());
                found.push((connection, ticket));
            }
            self.front(RecvFlags::empty());
        }
        found
    }

    /// Goes through all messages once.
    fn tidy(&self, lot: &mut Lot) {
        for _ in 0..lot.messages {
            let Some(front) = self.front(RecvFlags::PEEK) else { break };
            let kept = front.generation == self.generation && lot.live.contains(&front.number);
            if let Some(connection) = front.connection.filter(|_| kept)
                && self.send(front.number, connection.as_fd()).is_err()
            {
                break;
            }
            self.front(RecvFlags::empty());
            lot.messages -= usize::from(!kept);
        }
    }

    fn send(&self, number: u64, connection: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let label = [self.generation.to_be_bytes(), number.to_be_bytes()].concat();
        sys::fd::send(&self.ends[0], &label, &[connection]).map(drop)
    }

    fn front(&self, flags: RecvFlags) -> Option<Front> {
        let mut label = [0; LABEL_LEN];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message =
            rustix::net::recvmsg(&self.ends[1], &mut [IoSliceMut::new(&mut label)], &mut control, flags)
                .ok()?;
        let mut fds = Vec::new();
        for item in control.drain() {
            if let RecvAncillaryMessage::ScmRights(list) = item {
                fds.extend(list);
            }
        }
        if message.bytes != LABEL_LEN {
            return None;
        }
        let (generation, number) = label.split_first_chunk()?;
        Some(Front {
            generation: u64::from_be_bytes(*generation),
            number: u64::from_be_bytes(*number.first_chunk()?),
            connection: fds.pop(),
        })
    }

    fn lot(&self) -> MutexGuard<'_, Lot> {
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether neither side has ended it.
fn alive(connection: BorrowedFd<'_>) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(connection, &mut [0; 1], flags) {
        Ok((len, _)) => len > 0,
        Err(errno) => errno == rustix::io::Errno::AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connected");
        (client, listener.accept().expect("accepted").0)
    }

    fn heir(of: &Parked) -> Parked {
        let copies = of.ends().each_ref().map(|end| end.try_clone().expect("copy"));
        Parked::at(copies).expect("pair")
    }

    #[test]
    fn the_next_daemon_has_the_connections_that_live() {
        let first = Parked::new().expect("pair");
        let (mut asking, answering) = connection();
        let (gone, ended) = connection();
        first.park(answering.as_fd()).expect("room");
        first.park(ended.as_fd()).expect("room");
        drop((answering, gone));
        asking.write_all(b"question").expect("asked");
        let second = heir(&first);
        let mut left = second.left();
        assert_eq!(left.len(), 1);
        let (connection, ticket) = left.remove(0);
        assert!(ticket.is_some());
        let mut stream = TcpStream::from(connection);
        let mut question = [0; 8];
        stream.read_exact(&mut question).expect("the question waits");
        assert_eq!(&question, b"question");
        // And the one after that, though the second has not said that it is there.
        assert_eq!(heir(&second).left().len(), 1);
    }

    #[test]
    fn what_has_ended_does_not_pile_up() {
        let parked = Parked::new().expect("pair");
        let (_client, long) = connection();
        parked.park(long.as_fd()).expect("room");
        for _ in 0..1000 {
            let (_client, short) = connection();
            let ticket = parked.park(short.as_fd()).expect("room");
            parked.end(&ticket);
        }
        assert!(parked.lot().messages <= MAX_DEAD + 3);
        assert_eq!(heir(&parked).left().len(), 1, "the long one is there still");
    }
}
