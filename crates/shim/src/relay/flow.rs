//! Datagrams that are passed on: who sends, to which address of ours, through which socket.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use sys::net::Local;

use super::door::{connect, is_short};
use super::{DATAGRAM, MAX_FLOWS, Relay, Token, Watched};
use crate::protocol::Transport;

/// Datagrams passed on before others have their turn.
const TURN: usize = 32;

/// What datagrams of one flow have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) door: u64,
    client: SocketAddr,
    /// Answers come from the address that was asked.
    local: Option<Local>,
}

/// A flow, with a socket of its own towards the container, so that answers find back.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: Key,
    socket: Watched,
    pub(super) last: Instant,
}

impl Relay {
    /// Passes on what clients have sent to a door.
    pub(super) fn ask(&mut self, number: u64) {
        let mut buffer = self.take_buffer();
        for _ in 0..TURN {
            let Some(door) = self.doors.get(&number) else { break };
            // an error is one that an answer has met on its way back; nobody is left to be told
            let Ok(received) = sys::net::receive(&door.socket, &mut buffer) else { break };
            let key = Key { door: number, client: received.from, local: received.to };
            if let Some(flow) = self.flow(key) {
                flow.last = Instant::now();
                // datagrams may get lost: the container may not listen, or not keep up
                let _ = rustix::net::send(
                    &flow.socket,
                    &buffer[..received.len],
                    rustix::net::SendFlags::NOSIGNAL,
                );
            }
        }
        self.buffer = buffer;
    }

    /// Passes on what the container has answered.
    pub(super) fn answer(&mut self, number: u64) {
        let mut buffer = self.take_buffer();
        let Some(flow) = self.flows.get_mut(&number) else { return };
        for _ in 0..TURN {
            let flags = rustix::net::RecvFlags::empty();
            // also when the container has said that nobody listens: reading it has cleared it
            let Ok((len, _)) = rustix::net::recv(&flow.socket, &mut buffer[..], flags) else { break };
            flow.last = Instant::now();
            let Some(door) = self.doors.get(&flow.key.door) else { break };
            let _ = match flow.key.local {
                Some(local) => sys::net::send_from(&door.socket, &buffer[..len], &flow.key.client, local),
                None => {
                    let flags = rustix::net::SendFlags::NOSIGNAL;
                    rustix::net::sendto(&door.socket, &buffer[..len], flags, &flow.key.client).map(drop)
                }
            };
        }
        self.buffer = buffer;
    }

    /// The flow that a datagram belongs to, made if it is the first.
    fn flow(&mut self, key: Key) -> Option<&mut Flow> {
        if let Some(number) = self.known.get(&key) {
            return self.flows.get_mut(number);
        }
        let aim = self.doors.get(&key.door)?.aim;
        let target = aim.target()?;
        if self.flows.len() >= MAX_FLOWS {
            self.end_oldest_flow();
        }
        let socket = match connect(target, Transport::Udp, aim.source(key.client)) {
            Ok(socket) => socket,
            Err(errno) => {
                if is_short(errno) {
                    self.end_oldest_flow();
                }
                return None;
            }
        };
        let number = self.number();
        let mut socket = Watched::new(socket, Token::Flow(number));
        socket.set(&self.poller, EventFlags::IN);
        self.known.insert(key, number);
        self.start_timer();
        Some(self.flows.entry(number).or_insert(Flow { key, socket, last: Instant::now() }))
    }

    pub(super) fn end_flow(&mut self, number: u64) {
        if let Some(flow) = self.flows.remove(&number) {
            self.known.remove(&flow.key);
        }
    }

    fn end_oldest_flow(&mut self) {
        if let Some((&number, _)) = self.flows.iter().min_by_key(|(_, flow)| flow.last) {
            self.end_flow(number);
        }
    }

    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(DATAGRAM, 0);
        buffer
    }
}
