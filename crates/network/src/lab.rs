//! Test bench: every test has network namespaces of its own for "the host" and for a neighbour
//! "outside", so that nothing of the machine is touched. Needs root.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use rustix::net::Shutdown;
use rustix::thread::LinkNameSpaceType;

use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::netlink::{Batch, Protocol, Socket};
use crate::netns::{Namespace, on_thread};
use crate::route::{self, Veth};
use crate::{Config, Network};

/// Address of the host on the link to the outside.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Address of the neighbour.
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Likewise, in IPv6.
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Likewise, in IPv6.
pub(crate) const OUTSIDE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// A packet that has not come by then never will.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A host with a neighbour, and a place for records.
pub(crate) struct Lab {
    pub(crate) host: OwnedFd,
    pub(crate) outside: Namespace,
    pub(crate) dir: tempfile::TempDir,
}

/// Says past the test harness, which would keep it to itself, that `test` tests nothing on this machine.
pub(crate) fn not_run(test: &str, why: &str) {
    writeln!(std::io::stderr(), "NOT RUN: {test}: {why}").expect("stderr");
}

/// Runs a test on a thread that is in the namespace of a new host. A panic in it fails the test.
pub(crate) fn on_host(test: impl FnOnce(&Lab) + Send) {
    let host = Namespace::new().expect("these tests need root");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                enter(host.fd.as_fd());
                test(&Lab::new(host.fd.as_fd().try_clone_to_owned().expect("descriptor")));
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

impl Lab {
    fn new(namespace: OwnedFd) -> Self {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let outside = neighbour(&mut host, "up0", HOST, OUTSIDE);
        let mut batch = Batch::default();
        let index = route::by_name(&mut host, "up0").expect("asked").expect("up0").index;
        route::default_route(&mut batch, index, OUTSIDE.into());
        host.request(&mut batch).expect("default route");
        Self { host: namespace, outside, dir: tempfile::tempdir().expect("tempdir") }
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(None, self.dir.path().join("network"))
    }

    pub(crate) fn network(&self) -> Network {
        Network::open(self.config()).expect("network")
    }

    /// Gives the host, and its link to the neighbour, IPv6.
    pub(crate) fn with_ipv6(&self) {
        let six = |socket: &mut Socket, name: &str, ip: Ipv6Addr, gateway: Option<Ipv6Addr>| {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "0").expect("IPv6");
            let index = route::by_name(socket, name).expect("asked").expect("link").index;
            let mut batch = Batch::default();
            route::push_address(&mut batch, index, IpNet::new(ip.into(), 64).expect("net"));
            if let Some(gateway) = gateway {
                route::default_route(&mut batch, index, gateway.into());
            }
            socket.request(&mut batch).expect("IPv6 address");
        };
        six(&mut Socket::open(Protocol::Route).expect("socket"), "up0", HOST6, Some(OUTSIDE6));
        within(&self.outside.fd, || {
            six(&mut Socket::open(Protocol::Route).expect("socket"), "eth0", OUTSIDE6, None);
        });
    }

    /// Gives the neighbour a route to everything through the host, in IPv6.
    pub(crate) fn outside_routes6_through_host(&self) {
        within(&self.outside.fd, || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            let index = route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").index;
            let mut batch = Batch::default();
            route::default_route(&mut batch, index, HOST6.into());
            socket.request(&mut batch).expect("route");
        });
    }

    /// Gives the neighbour a route to everything through the host.
    pub(crate) fn outside_routes_through_host(&self) {
        routes_through(&self.outside.fd, HOST);
    }
}

/// A further neighbour, on a link of its own to the host's interface `name`.
pub(crate) fn neighbour(host: &mut Socket, name: &str, host_ip: Ipv4Addr, ip: Ipv4Addr) -> Namespace {
    let mut namespace = Namespace::new().expect("neighbour");
    let mut batch = Batch::default();
    let pair = Veth {
        host_name: name,
        bridge: 0,
        netns: namespace.fd.as_fd(),
        name: "eth0",
        mac: MacAddr::from_ipv4(ip),
        mtu: 1400,
        up: true,
    };
    route::push_veth(&mut batch, &pair);
    host.request(&mut batch).expect("link to the outside");
    assign(host, name, host_ip);
    assign(&mut namespace.route, "eth0", ip);
    namespace
}

/// A switch: a namespace with the bridge `br0`, to which hosts are cabled.
pub(crate) fn switch() -> Namespace {
    let mut switch = Namespace::new().expect("these tests need root");
    let mut batch = Batch::default();
    route::push_bridge(&mut batch, "br0", MacAddr([0x0e, 0, 0, 0, 0, 9]));
    switch.route.request(&mut batch).expect("switch");
    switch
}

/// A cable from the interface `name` here, a port of `bridge`, to `eth0` with the address `ip` there.
pub(crate) fn cable(from: &mut Socket, name: &str, bridge: u32, to: &mut Namespace, ip: Ipv4Addr) {
    let mut batch = Batch::default();
    let mac = MacAddr::from_ipv4(ip);
    let netns = to.fd.as_fd();
    route::push_veth(
        &mut batch,
        &Veth { host_name: name, bridge, netns, name: "eth0", mac, mtu: 1500, up: true },
    );
    from.request(&mut batch).expect("cable");
    assign(&mut to.route, "eth0", ip);
}

/// Gives a namespace a default route.
pub(crate) fn routes_through(netns: &impl AsFd, gateway: Ipv4Addr) {
    within(netns, || {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let index = route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").index;
        let mut batch = Batch::default();
        route::default_route(&mut batch, index, gateway.into());
        socket.request(&mut batch).expect("route");
    });
}

pub(crate) fn assign(socket: &mut Socket, name: &str, ip: Ipv4Addr) {
    let index = route::by_name(socket, name).expect("asked").expect("interface").index;
    let mut batch = Batch::default();
    route::push_up(&mut batch, index);
    route::push_address(&mut batch, index, Ipv4Net::new_assert(ip, 24).into());
    socket.request(&mut batch).expect("address");
}

fn enter(netns: BorrowedFd<'_>) {
    rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network)).expect("setns");
}

/// Runs something in a namespace; sockets made there stay there.
pub(crate) fn within<T: Send>(netns: &impl AsFd, work: impl FnOnce() -> T + Send) -> T {
    let netns = netns.as_fd();
    let done: Result<T> = on_thread("within", move || {
        enter(netns);
        Ok(work())
    });
    done.expect("no panic")
}

/// A service in a namespace; it ends, and lets go of the namespace, when this is dropped.
pub(crate) struct Service {
    socket: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        // Wakes the thread; an unconnected UDP socket says ENOTCONN all the same.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Listens on TCP in a namespace, and answers each connection with the address it came from.
#[must_use]
pub(crate) fn serve(netns: &impl AsFd, port: u16) -> Service {
    let listener = within(netns, move || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("listen"));
    let socket = listener.try_clone().expect("dup").into();
    let thread = std::thread::spawn(move || {
        while let Ok((mut connection, peer)) = listener.accept() {
            let _ = write!(connection, "{}", peer.ip().to_canonical());
        }
    });
    Service { socket, thread: Some(thread) }
}

/// Connects from a namespace: the address that the other side saw, `None` when nobody answered.
pub(crate) fn call(netns: &impl AsFd, ip: impl Into<IpAddr>, port: u16) -> Option<String> {
    let ip = ip.into();
    within(netns, move || call_here(ip, port))
}

/// Connects from the namespace of this thread.
pub(crate) fn call_here(ip: impl Into<IpAddr>, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip.into(), port), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("time-out");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok().map(|_| answer)
}

/// Answers each UDP packet with the address it came from.
#[must_use]
pub(crate) fn serve_udp(netns: &impl AsFd, port: u16) -> Service {
    let listener = within(netns, move || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).expect("bind"));
    let socket = listener.try_clone().expect("dup").into();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((1.., peer)) = listener.recv_from(&mut buffer) {
            let _ = listener.send_to(peer.ip().to_canonical().to_string().as_bytes(), peer);
        }
    });
    Service { socket, thread: Some(thread) }
}

/// Sends a UDP packet from a namespace: the address that the other side saw.
pub(crate) fn call_udp(netns: &impl AsFd, ip: Ipv4Addr, port: u16) -> Option<String> {
    let socket = within(netns, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("bind"));
    socket.set_read_timeout(Some(PATIENCE)).expect("time-out");
    socket.send_to(b"?", (ip, port)).ok()?;
    let mut buffer = [0; 64];
    let (len, _) = socket.recv_from(&mut buffer).ok()?;
    String::from_utf8(buffer[..len].to_vec()).ok()
}
