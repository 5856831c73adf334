//! Sockets of published ports that another process opens: one that lives in the host's network namespace, where an
//! ordinary user's daemon doesn't.
//!
//! A socket belongs to the namespace that it was made in, whoever holds it. So one that is passed over listens on the
//! host, with no more rights than the process that made it has there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::socket;
use crate::endpoint::Protocol;
use crate::error::{Error, Result};
use crate::sysctl;

/// A question: protocol, family, address, port.
const QUESTION: usize = 20;
/// The family of a socket of IPv6 that takes IPv4's port as well. Without, IPv4 is 0 and IPv6 is 1.
const BOTH: u8 = 2;
/// An answer: the error's number or zero, and the first port that needs no privilege.
const ANSWER: usize = 6;
/// Connections that wait to be accepted, as the standard library's listeners have it.
const BACKLOG: i32 = 128;

/// The process that opens ports on the host, as the daemon knows it.
#[derive(Debug)]
pub struct HostPorts {
    socket: Mutex<OwnedFd>,
}

impl HostPorts {
    /// `socket` is one end of a pair that keeps message borders; [`Self::serve`] has the other.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket: Mutex::new(socket) }
    }

    /// Opens ports in the caller's network namespace until nobody holds the other end any more.
    pub fn serve(socket: &OwnedFd) {
        let mut question = [0; QUESTION];
        while let Ok((QUESTION, _)) = sys::fd::recv(socket, &mut question) {
            let made = match decode(&question) {
                Some((protocol, address, both)) => socket::try_reserve(protocol, address, both),
                None => Err(Errno::INVAL),
            };
            let errno = made.as_ref().map_or_else(|errno| errno.raw_os_error(), |_| 0);
            let mut answer = [0; ANSWER];
            answer[..4].copy_from_slice(&errno.to_ne_bytes());
            answer[4..].copy_from_slice(&sysctl::first_unprivileged_port().to_ne_bytes());
            let made = made.ok().flatten();
            let fds: Vec<_> = made.iter().map(|fd| fd.as_fd()).collect();
            if sys::fd::send(socket, &answer, &fds).is_err() {
                return;
            }
        }
    }

    /// As [`socket::reserve`], on the host.
    pub(super) fn reserve(&self, protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<Option<OwnedFd>> {
        let address = SocketAddr::new(host_ip, port);
        let (made, first) = self.ask(protocol, address, false).map_err(Error::system(format!(
            "asking the process that opens ports on the host for {address}/{protocol}"
        )))?;
        match made {
            Err(Errno::ACCESS | Errno::PERM) => {
                Err(Error::Privileged { host_ip, host_port: port, protocol, first })
            }
            made => socket::judge(made, protocol, address),
        }
    }

    /// A listener at an address of the host's; one of IPv6 that is all of them takes those of IPv4 as well.
    ///
    /// # Errors
    /// As those of bind(2) and listen(2).
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let (made, _) = self.ask(Protocol::Tcp, address, true)?;
        let socket = made?.ok_or(Errno::PROTONOSUPPORT)?;
        // Its connections that have ended must not be in the way of the next one here.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket.into())
    }

    fn ask(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        both: bool,
    ) -> Result<(Result<Option<OwnedFd>, Errno>, u16), Errno> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        sys::fd::send(&*socket, &encode(protocol, address, both), &[])?;
        let mut answer = [0; ANSWER];
        let (ANSWER, mut fds) = sys::fd::recv(&*socket, &mut answer)? else { return Err(Errno::PIPE) };
        let [a, b, c, d, e, f] = answer;
        let made = match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(fds.pop()),
            number => Err(Errno::from_raw_os_error(number)),
        };
        Ok((made, u16::from_ne_bytes([e, f])))
    }
}

fn encode(protocol: Protocol, address: SocketAddr, both: bool) -> [u8; QUESTION] {
    let mut question = [0; QUESTION];
    question[0] = protocol.number();
    match address.ip() {
        IpAddr::V4(ip) => question[2..6].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => {
            question[1] = if both { BOTH } else { 1 };
            question[2..18].copy_from_slice(&ip.octets());
        }
    }
    question[18..].copy_from_slice(&address.port().to_be_bytes());
    question
}

fn decode(question: &[u8; QUESTION]) -> Option<(Protocol, SocketAddr, bool)> {
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = protocols.into_iter().find(|protocol| protocol.number() == question[0])?;
    let ip = match question[1] {
        0 => IpAddr::V4(Ipv4Addr::from(*question[2..].first_chunk::<4>()?)),
        _ => IpAddr::V6(Ipv6Addr::from(*question[2..].first_chunk::<16>()?)),
    };
    let address = SocketAddr::new(ip, u16::from_be_bytes([question[18], question[19]]));
    Some((protocol, address, question[1] == BOTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_opened_by_whoever_serves_and_refusals_come_back() {
        let (ours, theirs) = sys::fd::message_pair().expect("a pair");
        let server = std::thread::spawn(move || HostPorts::serve(&theirs));
        let host = HostPorts::new(ours);
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let program = TcpListener::bind((ip, 0)).expect("bound");
            let port = program.local_addr().expect("address").port();
            let taken = host.reserve(Protocol::Tcp, ip, port).expect_err("a program has it");
            assert!(matches!(taken, Error::PortAllocated { .. }), "{taken}");
            drop(program);
            let held = host.reserve(Protocol::Tcp, ip, port).expect("free").expect("spoken");
            assert!(TcpListener::bind((ip, port)).is_err());
            host.reserve(Protocol::Udp, ip, port).expect("another protocol").expect("spoken");
            drop(held);
            let listener = host.listen((ip, port).into()).expect("free again");
            std::net::TcpStream::connect((ip, port)).expect("connected");
            let (served, _) = listener.accept().expect("accepted");
            let refused = host.listen((ip, port).into()).expect_err("a program has it");
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            drop((served, listener));
            host.listen((ip, port).into()).expect("what has ended is not in the way");
        }
        let all = host.listen((Ipv6Addr::UNSPECIFIED, 0).into()).expect("free");
        let port = all.local_addr().expect("address").port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
        let absent =
            host.reserve(Protocol::Udp, Ipv4Addr::new(192, 0, 2, 1).into(), 9).expect_err("not ours");
        assert_eq!(absent.errno(), Some(Errno::ADDRNOTAVAIL));
        drop(host);
        server.join().expect("ends with its client");
    }

    #[test]
    fn without_the_process_the_error_says_so() {
        let (ours, theirs) = sys::fd::message_pair().expect("a pair");
        drop(theirs);
        let host = HostPorts::new(ours);
        let gone =
            host.reserve(Protocol::Tcp, Ipv4Addr::LOCALHOST.into(), 80).expect_err("nobody").to_string();
        assert!(gone.contains("the process that opens ports on the host"), "{gone}");
    }

    #[test]
    fn what_is_no_question_is_none() {
        assert_eq!(decode(&[0; QUESTION]), None);
        let address = "[2001:db8::1]:443".parse().expect("address");
        for both in [false, true] {
            assert_eq!(decode(&encode(Protocol::Udp, address, both)), Some((Protocol::Udp, address, both)));
        }
    }
}
