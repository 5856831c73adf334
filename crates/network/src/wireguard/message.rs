//! WireGuard's messages: generic netlink, as in `linux/wireguard.h`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rustix::io::Errno;

use super::Key;
use crate::error::Result;
use crate::netlink::{Batch, Message, Reply, Socket, attr, flag};

/// Length of `struct genlmsghdr`: command, version, two bytes for nothing.
const HEADER_LEN: usize = 4;
/// `GENL_ID_CTRL`, whom one asks for others' numbers; its command and attributes.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const CONTROL_VERSION: u8 = 1;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// `WG_GENL_NAME`, `WG_GENL_VERSION`, `WG_CMD_*`.
const NAME: &str = "wireguard";
const VERSION: u8 = 1;
const GET_DEVICE: u8 = 0;
const SET_DEVICE: u8 = 1;

/// `WGDEVICE_A_*`.
mod device {
    pub(super) const NAME: u16 = 2;
    pub(super) const PRIVATE_KEY: u16 = 3;
    pub(super) const PUBLIC_KEY: u16 = 4;
    pub(super) const LISTEN_PORT: u16 = 6;
    pub(super) const PEERS: u16 = 8;
}
/// `WGPEER_A_*`, and `WGPEER_F_*`.
mod peer {
    pub(super) const PUBLIC_KEY: u16 = 1;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const ENDPOINT: u16 = 4;
    pub(super) const ALLOWED_IPS: u16 = 9;
    pub(super) const REMOVE: u32 = 1;
    pub(super) const REPLACE_ALLOWED_IPS: u32 = 2;
}
/// `WGALLOWEDIP_A_*`.
mod allowed {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const ADDRESS: u16 = 2;
    pub(super) const PREFIX: u16 = 3;
}

/// `AF_INET`, `AF_INET6`.
const INET: u16 = 2;
const INET6: u16 = 10;

/// A device as the kernel has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Its own keys, once it has some.
    pub(super) private: Option<Key>,
    pub(super) public: Option<Key>,
    /// Its UDP port.
    pub(super) port: u16,
    /// Those that it speaks with.
    pub(super) peers: Vec<Peer>,
}

/// Somebody that a device speaks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) key: Key,
    /// Where it is reached.
    pub(super) endpoint: Option<SocketAddr>,
    /// The addresses that it may send from, and at which it is sent to.
    pub(super) allowed: Vec<IpNet>,
}

/// A step towards the peers that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It is one, and so it is.
    Set(Peer),
    /// It is none.
    Remove(Key),
}

/// The number of WireGuard's messages; `None` if the kernel has no WireGuard. The kernel loads the module
/// when it is asked, if there is one.
pub(super) fn family(socket: &mut Socket) -> Result<Option<u16>> {
    let mut batch = Batch::default();
    batch.push("looking for WireGuard", CONTROL, flag::ACK, |m| {
        m.raw(&[GET_FAMILY, CONTROL_VERSION, 0, 0]).text(FAMILY_NAME, NAME);
    });
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        result => Ok(result?.iter().find_map(family_of)),
    }
}

fn family_of(reply: &Reply) -> Option<u16> {
    let attributes = reply.payload.get(HEADER_LEN..)?;
    attr::find(attributes, FAMILY_ID).and_then(|value| attr::u16_at(value, 0))
}

/// Gives a device its key and its port.
pub(super) fn push_identity(batch: &mut Batch, family: u16, name: &str, private: &Key, port: u16) {
    batch.push(format!("giving {name} its key and port {port}"), family, flag::ACK, |m| {
        m.raw(&[SET_DEVICE, VERSION, 0, 0]).text(device::NAME, name);
        m.bytes(device::PRIVATE_KEY, private).bytes(device::LISTEN_PORT, &port.to_ne_bytes());
    });
}

/// Takes these steps. Their number is bounded by an attribute's length.
pub(super) fn push_peers(batch: &mut Batch, family: u16, name: &str, changes: &[Change]) {
    batch.push(format!("telling {name} of other hosts"), family, flag::ACK, |m| {
        m.raw(&[SET_DEVICE, VERSION, 0, 0]).text(device::NAME, name);
        m.nested(device::PEERS, |m| {
            for change in changes {
                m.nested(0, |m| push_change(m, change));
            }
        });
    });
}

fn push_change(m: &mut Message<'_>, change: &Change) {
    let peer = match change {
        Change::Remove(key) => {
            m.bytes(peer::PUBLIC_KEY, key).u32(peer::FLAGS, peer::REMOVE);
            return;
        }
        Change::Set(peer) => peer,
    };
    m.bytes(peer::PUBLIC_KEY, &peer.key).u32(peer::FLAGS, peer::REPLACE_ALLOWED_IPS);
    if let Some(endpoint) = peer.endpoint {
        m.bytes(peer::ENDPOINT, &socket_address(endpoint));
    }
    m.nested(peer::ALLOWED_IPS, |m| {
        for net in &peer.allowed {
            m.nested(0, |m| {
                match net.addr() {
                    IpAddr::V4(ip) => {
                        m.bytes(allowed::FAMILY, &INET.to_ne_bytes()).bytes(allowed::ADDRESS, &ip.octets())
                    }
                    IpAddr::V6(ip) => {
                        m.bytes(allowed::FAMILY, &INET6.to_ne_bytes()).bytes(allowed::ADDRESS, &ip.octets())
                    }
                };
                m.u8(allowed::PREFIX, net.prefix_len());
            });
        }
    });
}

/// The device called `name`.
pub(super) fn device(socket: &mut Socket, family: u16, name: &str) -> Result<Device> {
    let mut request = Batch::default();
    request.push("", family, 0, |m| {
        m.raw(&[GET_DEVICE, VERSION, 0, 0]).text(device::NAME, name);
    });
    let replies = socket.dump(&format!("asking for {name}"), family, request.last_payload())?;
    let mut found = Device::default();
    replies.iter().filter(|reply| reply.kind == family).for_each(|reply| found.read(reply));
    Ok(found)
}

impl Device {
    /// One part of the answer: what the last one ended with may go on.
    fn read(&mut self, reply: &Reply) {
        for (kind, value) in attr::iter(reply.payload.get(HEADER_LEN..).unwrap_or_default()) {
            match kind {
                device::PRIVATE_KEY => self.private = value.try_into().ok(),
                device::PUBLIC_KEY => self.public = value.try_into().ok(),
                device::LISTEN_PORT => self.port = attr::u16_at(value, 0).unwrap_or(0),
                device::PEERS => {
                    for peer in attr::iter(value).filter_map(|(_, value)| Peer::parse(value)) {
                        match self.peers.last_mut() {
                            Some(last) if last.key == peer.key => last.allowed.extend(peer.allowed),
                            _ => self.peers.push(peer),
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl Peer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let ips = attr::find(bytes, peer::ALLOWED_IPS).unwrap_or_default();
        Some(Self {
            key: attr::find(bytes, peer::PUBLIC_KEY)?.try_into().ok()?,
            endpoint: attr::find(bytes, peer::ENDPOINT).and_then(endpoint),
            allowed: attr::iter(ips).filter_map(|(_, value)| allowed_ip(value)).collect(),
        })
    }
}

fn allowed_ip(bytes: &[u8]) -> Option<IpNet> {
    let (ip, prefix) = (attr::find(bytes, allowed::ADDRESS)?, *attr::find(bytes, allowed::PREFIX)?.first()?);
    IpNet::new(address(ip)?, prefix).ok()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// `struct sockaddr_in`, `struct sockaddr_in6`.
fn socket_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    let family = if address.is_ipv4() { INET } else { INET6 };
    bytes.extend_from_slice(&family.to_ne_bytes());
    bytes.extend_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

fn endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let ip = match attr::u16_at(bytes, 0)? {
        INET => address(bytes.get(4..8)?)?,
        INET6 => address(bytes.get(8..24)?)?,
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(fill: impl FnOnce(&mut Message<'_>)) -> Reply {
        let mut batch = Batch::default();
        batch.push("", 7, 0, |m| {
            m.raw(&[GET_DEVICE, VERSION, 0, 0]);
            fill(m);
        });
        Reply { kind: 7, payload: batch.last_payload().to_vec() }
    }

    fn peer(last: u8) -> Peer {
        Peer {
            key: [last; 32],
            endpoint: Some(SocketAddr::new([192, 0, 2, last].into(), 51820)),
            allowed: vec!["fe80::7/128".parse().expect("net")],
        }
    }

    #[test]
    fn what_is_written_is_what_the_kernels_header_says() {
        let mut batch = Batch::default();
        push_peers(&mut batch, 7, "wg0", &[Change::Set(peer(9)), Change::Remove([3; 32])]);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let endpoint = "0200ca6cc00002090000000000000000";
        let wanted = [
            "01010000",
            "08000200",
            "77673000", // the device's name
            "a4000880", // peers
            "70000080",
            "24000100",
            &"09".repeat(32),
            "0800030002000000",
            "14000400",
            endpoint,
            "2c000980",
            "28000080",
            "06000100",
            "0a000000",
            "14000200",
            "fe800000000000000000000000000007",
            "0500030080000000",
            "30000080",
            "24000100",
            &"03".repeat(32),
            "0800030001000000",
        ]
        .concat();
        assert_eq!(hex(batch.last_payload()), wanted);
    }

    #[test]
    fn what_is_read_goes_on_in_the_next_part() {
        let part = |peers: &[Peer]| {
            reply(|m| {
                m.bytes(device::PUBLIC_KEY, &[5; 32]).bytes(device::LISTEN_PORT, &51820u16.to_ne_bytes());
                m.nested(device::PEERS, |m| {
                    peers.iter().for_each(|peer| {
                        m.nested(0, |m| push_change(m, &Change::Set(peer.clone())));
                    });
                });
            })
        };
        let more = Peer { allowed: vec!["10.0.0.0/8".parse().expect("net")], ..peer(2) };
        let mut found = Device::default();
        found.read(&part(&[peer(1), peer(2)]));
        found.read(&part(std::slice::from_ref(&more)));
        let both = Peer { allowed: [peer(2).allowed, more.allowed].concat(), ..peer(2) };
        let wanted = Device { private: None, public: Some([5; 32]), port: 51820, peers: vec![peer(1), both] };
        assert_eq!(found, wanted);
    }

    #[test]
    fn ends_of_both_families_are_read_as_written() {
        for text in ["192.0.2.1:51820", "[2001:db8::1]:9"] {
            let address: SocketAddr = text.parse().expect("address");
            assert_eq!(endpoint(&socket_address(address)), Some(address));
        }
        assert_eq!((endpoint(&[]), endpoint(&[2, 0, 1]), endpoint(&[9; 28])), (None, None, None));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_read_does_harm(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            Device::default().read(&Reply { kind: 7, payload: bytes.clone() });
            let _ = Peer::parse(&bytes);
            let _ = family_of(&Reply { kind: CONTROL, payload: bytes });
        }
    }
}
