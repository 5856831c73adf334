//! Echo requests, of any size, that must not be fragmented.

use std::io::Error;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::{Answer, Namespace};
use crate::programs::patient;

/// As for the other probes.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Type of an echo request and of its reply.
const ECHO: [(u8, u8); 2] = [(8, 0), (128, 129)];

/// Sends one echo request with `payload` bytes; heard is `pong`.
pub fn ping(netns: &Namespace, to: IpAddr, payload: usize) -> Result<Answer> {
    netns.within(|| {
        let socket = open(to)?;
        let number = std::process::id().to_be_bytes();
        let (request, reply) = ECHO[usize::from(to.is_ipv6())];
        let mut packet = vec![request, 0, 0, 0, number[2], number[3], 0, 1];
        packet.resize(8 + payload, 0x5a);
        // The kernel fills in the checksum of ICMPv6 itself.
        if to.is_ipv4() {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        if let Err(errno) = rustix::net::sendto(&socket, &packet, SendFlags::empty(), &SocketAddr::new(to, 0))
        {
            return refusal(errno);
        }
        let start = Instant::now();
        let mut buffer = vec![0; 128 + packet.len()];
        loop {
            let left = patient(PATIENCE).saturating_sub(start.elapsed()).max(Duration::from_millis(1));
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(left))?;
            let (len, _) = match rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()) {
                Ok(len) => len,
                Err(errno) => return refusal(errno),
            };
            // A raw IPv4 socket gives the IP header as well.
            let head = if to.is_ipv4() { usize::from(buffer[0] & 0xf) * 4 } else { 0 };
            let message = buffer.get(head..len).context("a truncated packet")?;
            if message.first() == Some(&reply) && message.get(4..8) == packet.get(4..8) {
                return Ok(Answer::Heard("pong".to_owned()));
            }
        }
    })
}

fn refusal(errno: rustix::io::Errno) -> Result<Answer> {
    match errno {
        rustix::io::Errno::MSGSIZE => Ok(Answer::Heard("too long".to_owned())),
        errno => Answer::of(&Error::from(errno)),
    }
}

fn open(to: IpAddr) -> Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
    // Errors of the way there are to be heard, and nothing is cut in pieces.
    match to {
        IpAddr::V4(_) => sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO)?,
        IpAddr::V6(_) => sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?,
    }
    rustix::net::connect(&socket, &SocketAddr::new(to, 0))?;
    Ok(socket)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
