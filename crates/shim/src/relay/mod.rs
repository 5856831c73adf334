//! Published ports in user space: sockets of the host that we hold, and those behind which we pass on what comes.
//!
//! Most published ports are the kernel's work, and a socket is only held so that nobody else takes the port. What the
//! kernel can't translate (the host's own `[::1]`, IPv6 clients of a container without IPv6), and ports that the host's
//! INPUT chain is to judge, come to listening sockets here: streams are copied by splice(2) and never seen by us,
//! datagrams are copied one by one. Everything is watched by one epoll instance of its own, which is a single
//! descriptor of the shim's loop; without a port to serve there is none.

mod door;
mod flow;
mod link;
mod pipe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::EventFlags;
use rustix::process::Resource;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

use crate::poll;
use crate::protocol::{Aim, PortKey, PortState, Transport};
use door::Door;
use flow::Flow;
use link::Link;
use pipe::Pipes;

/// Connections at once, if there are descriptors for so many.
const MAX_LINKS: usize = 4096;
/// Datagram flows at once; the one that was silent for longest makes room for a new one.
const MAX_FLOWS: usize = 1024;
/// Sockets held at once.
pub(crate) const MAX_PORTS: usize = 1024;
/// Descriptors left for everything else that the shim does.
const SPARE_FDS: usize = 128;
/// A flow that was silent for so long is over; as Docker's proxy has it.
const FLOW_SILENCE: Duration = Duration::from_secs(90);
/// How often silent flows, and doors that had to close, are looked at.
const TICK: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// Largest datagram.
const DATAGRAM: usize = 65535;

type Poller = poll::Poller<Token>;
type Watched = poll::Watched<Token>;

/// Whose descriptor has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A socket that is listened at.
    Door(u64),
    /// A connection's end towards who asked for it.
    Client(u64),
    /// Its end towards the container.
    Server(u64),
    /// A flow's socket towards the container.
    Flow(u64),
    /// Time has passed.
    Tick,
}

const KIND_BITS: u32 = 3;

impl poll::Token for Token {
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Door(n) => (0, n),
            Self::Client(n) => (1, n),
            Self::Server(n) => (2, n),
            Self::Flow(n) => (3, n),
            Self::Tick => (4, 0),
        };
        number << KIND_BITS | kind
    }

    fn decode(data: u64) -> Self {
        let number = data >> KIND_BITS;
        match data & ((1 << KIND_BITS) - 1) {
            0 => Self::Door(number),
            1 => Self::Client(number),
            2 => Self::Server(number),
            3 => Self::Flow(number),
            _ => Self::Tick,
        }
    }
}

/// The ports of one container, and what passes through them.
#[derive(Debug)]
pub(crate) struct Relay {
    poller: Poller,
    doors: BTreeMap<u64, Door>,
    links: BTreeMap<u64, Link>,
    flows: BTreeMap<u64, Flow>,
    /// Which flow a datagram belongs to.
    known: BTreeMap<flow::Key, u64>,
    pipes: Pipes,
    /// Room for a datagram, while there are any.
    buffer: Vec<u8>,
    timer: Option<OwnedFd>,
    /// No descriptors are left, or too many connections are there: nobody is let in.
    closed: bool,
    last_number: u64,
    max_links: usize,
}

impl Relay {
    pub(crate) fn new() -> io::Result<Self> {
        let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // two sockets each, and pipes for those through which something flows
        let fit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(SPARE_FDS) / 4;
        Ok(Self {
            poller: Poller::new()?,
            doors: BTreeMap::new(),
            links: BTreeMap::new(),
            flows: BTreeMap::new(),
            known: BTreeMap::new(),
            pipes: Pipes::default(),
            buffer: Vec::new(),
            timer: None,
            closed: false,
            last_number: 0,
            max_links: fit.clamp(1, MAX_LINKS),
        })
    }

    /// Holds a socket in place of the one that is held for the port, and serves it if it leads anywhere.
    pub(crate) fn hold(&mut self, key: PortKey, socket: OwnedFd, aim: Aim) -> io::Result<()> {
        self.release(&key);
        if self.doors.len() >= MAX_PORTS {
            return Err(io::Error::other(format!("more than {MAX_PORTS} sockets")));
        }
        let number = self.number();
        let mut door = Door::new(key, socket, aim, Token::Door(number))?;
        door.watch(&self.poller, !self.closed);
        self.doors.insert(number, door);
        Ok(())
    }

    /// Lets a port that is held lead elsewhere, for who comes from now on; whether it is held.
    pub(crate) fn aim(&mut self, key: &PortKey, aim: Aim) -> io::Result<bool> {
        let Some(door) = self.doors.values_mut().find(|door| door.key == *key) else { return Ok(false) };
        door.aim(aim)?;
        door.watch(&self.poller, !self.closed);
        Ok(true)
    }

    /// Gives a port up, and ends what passes through it. One that is not held is fine.
    pub(crate) fn release(&mut self, key: &PortKey) {
        let Some(number) = self.doors.iter().find_map(|(n, door)| (door.key == *key).then_some(*n)) else {
            return;
        };
        self.doors.remove(&number);
        self.links.retain(|_, link| {
            if link.door == number {
                link.reset();
            }
            link.door != number
        });
        let over: Vec<_> = self.flows.iter().filter(|(_, f)| f.key.door == number).map(|(n, _)| *n).collect();
        over.into_iter().for_each(|flow| self.end_flow(flow));
        self.open_again();
    }

    /// Gives every port up; what is under way runs on until it ends by itself.
    pub(crate) fn close(&mut self) {
        self.doors.clear();
        self.flows.clear();
        self.known.clear();
        self.timer = None;
    }

    /// What is held, and how much passes through it.
    pub(crate) fn ports(&self) -> Vec<PortState> {
        let state = |(number, door): (&u64, &Door)| {
            let links = self.links.values().filter(|link| link.door == *number).count();
            let flows = self.flows.values().filter(|flow| flow.key.door == *number).count();
            PortState { key: door.key, aim: door.aim, connections: links + flows }
        };
        self.doors.iter().map(state).collect()
    }

    /// Does what there is to do now.
    pub(crate) fn ready(&mut self) -> io::Result<()> {
        for (token, flags) in self.poller.wait(Some(Timespec::default()))? {
            match token {
                Token::Door(number) => self.door_ready(number),
                Token::Client(number) => self.link_ready(number, link::Side::Client, flags),
                Token::Server(number) => self.link_ready(number, link::Side::Server, flags),
                Token::Flow(number) => self.answer(number),
                Token::Tick => self.tick(),
            }
        }
        Ok(())
    }

    /// Nothing has happened for a while: gives back what the last work has taken.
    pub(crate) fn rest(&mut self) {
        self.pipes.clear();
        self.buffer = Vec::new();
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn door_ready(&mut self, number: u64) {
        match self.doors.get(&number).map(|door| door.key.transport) {
            Some(Transport::Udp) => self.ask(number),
            Some(_) => self.let_in(number),
            None => {}
        }
    }

    fn link_ready(&mut self, number: u64, side: link::Side, flags: EventFlags) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if !link.ready(side, flags, &self.poller, &mut self.pipes) {
            self.links.remove(&number);
            self.open_again();
        }
    }

    /// Lets nobody in until somebody has gone.
    fn close_doors(&mut self) {
        self.closed = true;
        self.doors.values_mut().for_each(|door| door.watch(&self.poller, false));
        // what took the descriptors may be no connection of ours: look again by the clock
        self.start_timer();
    }

    fn open_again(&mut self) {
        if std::mem::take(&mut self.closed) {
            self.doors.values_mut().for_each(|door| door.watch(&self.poller, true));
        }
    }

    /// Has the clock ring once, unless it is about to.
    fn start_timer(&mut self) {
        if self.timer.is_some() {
            return;
        }
        let once = Itimerspec { it_interval: Timespec::default(), it_value: TICK };
        let made =
            rustix::time::timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC).and_then(|timer| {
                rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
                Ok(timer)
            });
        // without it flows last longer, and doors open when a connection ends
        self.timer = made.ok().filter(|timer| self.poller.add(timer, Token::Tick, EventFlags::IN).is_ok());
    }

    fn tick(&mut self) {
        self.timer = None;
        self.open_again();
        let now = Instant::now();
        let silent = |flow: &Flow| now.saturating_duration_since(flow.last) >= FLOW_SILENCE;
        let over: Vec<_> = self.flows.iter().filter(|(_, flow)| silent(flow)).map(|(n, _)| *n).collect();
        over.into_iter().for_each(|flow| self.end_flow(flow));
        if !self.flows.is_empty() {
            self.start_timer();
        }
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
