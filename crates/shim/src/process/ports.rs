//! Host ports that are held for the container, and served where the kernel does not.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;

use super::requests::Outcome;
use super::server::Server;
use super::token::Token;
use crate::protocol::{ErrorKind, ErrorReply, HoldPort, PortKey, PortState, Reply};
use crate::relay::Relay;

impl Server {
    pub(super) fn hold_ports(&mut self, ports: Vec<HoldPort>, fds: Vec<OwnedFd>) -> Outcome {
        if self.container.as_ref().is_some_and(|container| container.exit.is_some()) || self.released {
            return Err(ErrorReply::new(ErrorKind::InvalidState, "ports: the container has ended"));
        }
        let mut fds = fds.into_iter();
        for HoldPort { key, aim, fd } in ports {
            let failed = |why: &dyn std::fmt::Display| {
                ErrorReply::new(ErrorKind::Failed, format!("hold {}/{:?}: {why}", key.address, key.transport))
            };
            let relay = self.relay().map_err(|error| failed(&error))?;
            let held = if fd {
                let socket = fds.next().ok_or_else(|| failed(&"its file descriptor is missing"))?;
                relay.hold(key, socket, aim).map(|()| true)
            } else {
                relay.aim(&key, aim)
            };
            if !held.map_err(|error| failed(&error))? {
                return Err(failed(&"it is not held"));
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn release_ports(&mut self, ports: &[PortKey]) -> Outcome {
        if let Some(relay) = &mut self.relay {
            ports.iter().for_each(|key| relay.release(key));
        }
        Ok(Reply::Done)
    }

    pub(super) fn ports(&self) -> Vec<PortState> {
        self.relay.as_ref().map(|relay| relay.ports()).unwrap_or_default()
    }

    pub(super) fn ports_ready(&mut self) {
        if let Some(relay) = &mut self.relay
            && relay.ready().is_err()
        {
            // epoll itself fails: without it nothing is served, and with it we would never sleep again
            self.relay = None;
        }
    }

    /// The container has ended: others may have its ports from now on.
    pub(super) fn close_ports(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.close();
        }
    }

    /// There is none before the first port.
    fn relay(&mut self) -> std::io::Result<&mut Relay> {
        if self.relay.is_none() {
            let relay = Relay::new()?;
            self.poller.add(&relay, Token::Ports, EventFlags::IN)?;
            self.relay = Some(Box::new(relay));
        }
        self.relay.as_deref_mut().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}
