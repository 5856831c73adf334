//! A connection that is passed on: two sockets, and a lane between them each way.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, sockopt};
use rustix::pipe::SpliceFlags;

use super::pipe::{Pipe, Pipes};
use super::{Poller, Token, Watched};

/// Bytes moved at once: what a pipe holds by default.
const CHUNK: usize = 64 * 1024;
/// Chunks moved before others have their turn.
const TURN: usize = 16;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Who asked for it.
    Client,
    /// The container.
    Server,
}

/// Two sockets and what is between them.
#[derive(Debug)]
pub(super) struct Link {
    /// Through which it came.
    pub(super) door: u64,
    client: Watched,
    server: Watched,
    connecting: bool,
    up: Lane,
    down: Lane,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    /// Only while bytes wait in it.
    pipe: Option<Pipe>,
    held: usize,
    /// Its source has said that it says no more.
    ended: bool,
    /// That was passed on.
    shut: bool,
}

impl Link {
    pub(super) fn new(number: u64, door: u64, client: OwnedFd, server: OwnedFd, poller: &Poller) -> Self {
        let mut link = Self {
            door,
            client: Watched::new(client, Token::Client(number)),
            server: Watched::new(server, Token::Server(number)),
            connecting: true,
            up: Lane::default(),
            down: Lane::default(),
        };
        link.watch(poller);
        link
    }

    /// Moves what can be moved; `false` when it is over.
    pub(super) fn ready(
        &mut self,
        side: Side,
        flags: EventFlags,
        poller: &Poller,
        pipes: &mut Pipes,
    ) -> bool {
        match self.advance(side, flags, pipes) {
            Ok(()) if self.up.shut && self.down.shut => return false,
            Ok(()) => {}
            // whatever has happened to one end is for the other a connection that has broken
            Err(_) => {
                self.reset();
                return false;
            }
        }
        self.watch(poller);
        true
    }

    fn advance(&mut self, side: Side, flags: EventFlags, pipes: &mut Pipes) -> Result<(), Errno> {
        let failed = flags.contains(EventFlags::ERR);
        if self.connecting {
            if side == Side::Client {
                return if failed { Err(Errno::CONNRESET) } else { Ok(()) };
            }
            sockopt::socket_error(&self.server)??;
            self.connecting = !flags.contains(EventFlags::OUT);
            return Ok(());
        }
        if failed {
            let broken = if side == Side::Client { &self.client } else { &self.server };
            sockopt::socket_error(broken)??;
        }
        let (from, into) =
            (flags.intersects(EventFlags::IN | EventFlags::HUP), flags.contains(EventFlags::OUT));
        let (up, down) = if side == Side::Client { (from, into) } else { (into, from) };
        if up {
            self.up.advance(&self.client, &self.server, pipes)?;
        }
        if down {
            self.down.advance(&self.server, &self.client, pipes)?;
        }
        Ok(())
    }

    /// Asks for what it waits for. Where that is nothing, breaks are still told, once.
    fn watch(&mut self, poller: &Poller) {
        let interest = |source: &Lane, sink: &Lane, connecting: bool| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, !connecting && !source.ended && source.held == 0);
            flags.set(EventFlags::OUT, sink.held > 0);
            if flags.is_empty() { EventFlags::ET } else { flags }
        };
        let client = interest(&self.up, &self.down, self.connecting);
        let server = if self.connecting { EventFlags::OUT } else { interest(&self.down, &self.up, false) };
        self.client.set(poller, client);
        self.server.set(poller, server);
    }

    /// Breaks both ends off.
    pub(super) fn reset(&self) {
        refuse(&self.client);
        refuse(&self.server);
    }
}

/// Has the end of a connection be a reset, as if nobody had listened.
pub(super) fn refuse(socket: impl AsFd) {
    // where that fails it ends politely
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

impl Lane {
    fn advance(&mut self, from: impl AsFd, to: impl AsFd, pipes: &mut Pipes) -> Result<(), Errno> {
        for _ in 0..TURN {
            if !self.drain(&to, pipes)? || self.ended {
                break;
            }
            let pipe = pipes.take()?;
            let taken = retry(|| {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                rustix::pipe::splice(&from, None, &pipe.write, None, CHUNK, flags)
            });
            match taken {
                Ok(0) => self.ended = true,
                Ok(len) => {
                    self.held = len;
                    self.pipe = Some(pipe);
                    continue;
                }
                Err(Errno::AGAIN) => {
                    pipes.put(pipe);
                    break;
                }
                Err(errno) => return Err(errno),
            }
            pipes.put(pipe);
        }
        if self.ended && self.held == 0 && !self.shut {
            self.shut = true;
            match rustix::net::shutdown(&to, Shutdown::Write) {
                // it has ended altogether already
                Err(Errno::NOTCONN) | Ok(()) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Passes on what waits; whether nothing waits any more.
    fn drain(&mut self, to: impl AsFd, pipes: &mut Pipes) -> Result<bool, Errno> {
        while let Some(pipe) = self.pipe.take() {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            match retry(|| rustix::pipe::splice(&pipe.read, None, &to, None, self.held, flags)) {
                Ok(len) if len >= self.held => {
                    self.held = 0;
                    pipes.put(pipe);
                }
                Ok(0) => return Err(Errno::PIPE),
                Ok(len) => {
                    self.held -= len;
                    self.pipe = Some(pipe);
                }
                Err(Errno::AGAIN) => {
                    self.pipe = Some(pipe);
                    return Ok(false);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }
}

fn retry<T>(call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    rustix::io::retry_on_intr(call)
}
