//! Sending requests and collecting their acknowledgements.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{GENERIC, NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::reply::{Answer, split};
use super::{Batch, Reply, flag};
use crate::error::{Error, Result};

/// Room for one datagram of the kernel: it never makes larger ones for dumps (32 KiB).
const RECEIVE_LEN: usize = 1 << 16;

/// What any socket may send at once, whatever the machine's default (`net.core.wmem_default`).
const SMALL: usize = 1 << 15;

/// Which part of the kernel a socket speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links, addresses, routes: rtnetlink(7).
    Route,
    /// nftables.
    Netfilter,
    /// Whatever has no number of its own: WireGuard.
    Generic,
}

/// A netlink socket, connected to the kernel. It belongs for ever to the network namespace in
/// which it was opened, whatever thread uses it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    next_sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(protocol: Protocol) -> Result<Self> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(NETFILTER),
            Protocol::Generic => Some(GENERIC),
        };
        let fd =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)
                .map_err(Error::system(format!("opening a netlink socket ({protocol:?})")))?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::connect(&fd, &kernel).map_err(Error::system("connecting a netlink socket"))?;
        // Without explanations (kernels before 4.12) errors are merely shorter.
        let _ = sys::net::explain_errors(fd.as_fd());
        Ok(Self { fd, next_sequence: 1, buffer: Vec::new() })
    }

    /// Sends a batch whose messages all ask for an acknowledgement, and returns the objects they
    /// answered with. The kernel carries out every message whatever became of those before it;
    /// the first failure is returned.
    pub(crate) fn request(&mut self, batch: &mut Batch) -> Result<Vec<Reply>> {
        if batch.len() == 0 {
            return Ok(Vec::new());
        }
        let first = self.send(batch)?;
        self.collect(batch, first, batch.len())
    }

    /// Sends a batch that the kernel takes as a whole (nftables) and of which only the message
    /// `last` asks for an acknowledgement.
    pub(crate) fn transaction(&mut self, batch: &mut Batch, last: usize) -> Result<()> {
        let first = self.send(batch)?;
        let mut failure = None;
        loop {
            for (sequence, answer) in split(self.receive()?) {
                // Anything else was left by an earlier transaction that ended early.
                let index = sequence.wrapping_sub(first) as usize;
                if index >= batch.len() {
                    continue;
                }
                if let Answer::Failed(errno, detail) = answer {
                    let error = Error::Kernel { action: batch.action(index), errno, detail };
                    // The frame itself was refused: nothing else will be said.
                    if index == 0 {
                        return Err(error);
                    }
                    failure.get_or_insert(error);
                }
                if index == last {
                    return failure.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// The port by which the kernel names this socket in what it tells others of its requests; `None` if it won't say.
    pub(crate) fn port(&self) -> Option<u32> {
        let address = rustix::net::getsockname(&self.fd).ok()?;
        SocketAddrNetlink::try_from(address).ok().map(|address| address.pid())
    }

    /// The index of an interface in this socket's namespace, by `SIOCGIFINDEX` (netdevice(7)):
    /// unlike a netlink request, it waits for nobody who is changing interfaces.
    pub(crate) fn index_of(&self, interface: &str) -> Result<u32> {
        rustix::net::netdevice::name_to_index(&self.fd, interface)
            .map_err(Error::system(format!("looking for interface {interface}")))
    }

    /// Every object of a kind: `fill` and `kind` as for [`Batch::push`].
    pub(crate) fn dump(&mut self, action: &str, kind: u16, header: &[u8]) -> Result<Vec<Reply>> {
        let mut batch = Batch::default();
        batch.push(action, kind, flag::DUMP, |m| {
            m.raw(header);
        });
        let first = self.send(&mut batch)?;
        self.collect(&batch, first, 1)
    }

    fn send(&mut self, batch: &mut Batch) -> Result<u32> {
        let first = self.next_sequence;
        self.next_sequence = first.wrapping_add(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let bytes = batch.numbered(first);
        if bytes.len() > SMALL {
            // What is larger than the buffer is refused (EMSGSIZE), and the kernel's own limit holds for persons.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(&self.fd, 2 * bytes.len());
        }
        loop {
            match rustix::net::send(&self.fd, bytes, SendFlags::empty()) {
                Ok(_) => return Ok(first),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::System { action: batch.action(0), errno }),
            }
        }
    }

    /// Reads until `expected` requests, numbered from `first`, have been acknowledged.
    fn collect(&mut self, batch: &Batch, first: u32, expected: usize) -> Result<Vec<Reply>> {
        let (mut objects, mut failure, mut acknowledged) = (Vec::new(), None, 0);
        while acknowledged < expected {
            for (sequence, answer) in split(self.receive()?) {
                let index = sequence.wrapping_sub(first) as usize;
                if index >= batch.len() {
                    continue;
                }
                match answer {
                    Answer::Object(reply) => objects.push(reply),
                    Answer::Done => acknowledged += 1,
                    Answer::Failed(errno, detail) => {
                        acknowledged += 1;
                        let action = batch.action(index);
                        failure.get_or_insert(Error::Kernel { action, errno, detail });
                    }
                }
            }
        }
        failure.map_or(Ok(objects), Err)
    }

    /// One datagram. The kernel has answered by the time a send returns, so an empty queue is an
    /// answer that was lost, and nothing to wait for.
    fn receive(&mut self) -> Result<&[u8]> {
        self.buffer.resize(RECEIVE_LEN, 0);
        loop {
            match rustix::net::recv(&self.fd, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((len, _)) => return Ok(&self.buffer[..len]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(Error::Malformed("an acknowledgement is missing")),
                Err(errno) => return Err(Error::System { action: "reading netlink answers".into(), errno }),
            }
        }
    }
}
