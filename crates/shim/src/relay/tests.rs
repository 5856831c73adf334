//! Real sockets, with the relay in a thread of its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::poll::Token as _;

const PATIENCE: Duration = Duration::from_secs(30);

/// A relay that works until it is stopped.
struct Running {
    stop: OwnedFd,
    thread: JoinHandle<Relay>,
}

impl Running {
    fn start(mut relay: Relay) -> Self {
        let (stopped, stop) = rustix::pipe::pipe().unwrap();
        let thread = std::thread::spawn(move || {
            loop {
                let mut fds = [
                    PollFd::from_borrowed_fd(relay.as_fd(), PollFlags::IN),
                    PollFd::new(&stopped, PollFlags::IN),
                ];
                poll(&mut fds, None).unwrap();
                if !fds[1].revents().is_empty() {
                    return relay;
                }
                relay.ready().unwrap();
            }
        });
        Self { stop, thread }
    }

    /// When everything that was begun is over.
    fn stop(self) -> Relay {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

fn key(transport: Transport, address: SocketAddr) -> PortKey {
    PortKey { transport, address }
}

/// A relay that leads from a port of its own to `to`.
fn tcp(to: SocketAddr, from: SocketAddr) -> (Relay, SocketAddr) {
    let door = TcpListener::bind(from).unwrap();
    let address = door.local_addr().unwrap();
    let mut relay = Relay::new().unwrap();
    relay.hold(key(Transport::Tcp, address), door.into(), Aim::To(to)).unwrap();
    (relay, address)
}

fn here() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Bytes that tell where they belong.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
}

#[test]
fn tokens_survive() {
    for token in
        [Token::Door(1), Token::Client(2), Token::Server(u64::MAX >> KIND_BITS), Token::Flow(4), Token::Tick]
    {
        assert_eq!(Token::decode(token.encode()), token);
    }
}

#[test]
fn a_stream_passes_both_ways_and_each_way_ends_by_itself() {
    let server = TcpListener::bind(here()).unwrap();
    // from IPv6, to a server that has none
    let (relay, address) = tcp(server.local_addr().unwrap(), (Ipv6Addr::LOCALHOST, 0).into());
    let running = Running::start(relay);
    let sent = pattern(8 << 20);
    let mut client = dial(address);
    let mut writer = client.try_clone().unwrap();
    let question = sent.clone();
    let asking = std::thread::spawn(move || {
        writer.write_all(&question).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let (mut accepted, _) = server.accept().unwrap();
    let mut asked = Vec::new();
    accepted.read_to_end(&mut asked).unwrap();
    assert!(asked == sent);
    // the client has ended its half, and still gets everything; it reads meanwhile, for no buffer need hold it all
    let answer = sent.clone();
    let answering = std::thread::spawn(move || accepted.write_all(&answer).unwrap());
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).unwrap();
    assert!(answered == sent);
    asking.join().unwrap();
    answering.join().unwrap();
    let relay = running.stop();
    assert!(relay.links.is_empty() && relay.timer.is_none() && !relay.closed);
}

#[test]
fn what_breaks_on_one_side_breaks_on_the_other() {
    let server = TcpListener::bind(here()).unwrap();
    let (relay, address) = tcp(server.local_addr().unwrap(), here());
    let running = Running::start(relay);
    let mut client = dial(address);
    client.write_all(b"x").unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.read_exact(&mut [0]).unwrap();
    link::refuse(&accepted);
    drop(accepted);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    // and the other way round, also when the client has said before that it says no more
    let client = dial(address);
    client.shutdown(Shutdown::Write).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(accepted.read(&mut [0]).unwrap(), 0);
    link::refuse(&client);
    drop(client);
    let broken = std::iter::repeat_with(|| accepted.write_all(&[0; 1024])).find_map(Result::err);
    assert!(broken.is_some());
    // nobody listens
    drop(server);
    // the relay may be faster than connect(2)
    let heard = TcpStream::connect(address).and_then(|mut client| {
        client.set_read_timeout(Some(PATIENCE))?;
        client.read(&mut [0])
    });
    assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(running.stop().links.is_empty());
}

#[test]
fn who_does_not_read_holds_back_who_writes_and_nobody_else() {
    let server = TcpListener::bind(here()).unwrap();
    let (relay, address) = tcp(server.local_addr().unwrap(), here());
    let running = Running::start(relay);
    let mut slow = dial(address);
    let (mut unread, _) = server.accept().unwrap();
    slow.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let chunk = pattern(1 << 16);
    let mut sent = 0;
    while let Ok(n) = slow.write(&chunk[sent % chunk.len()..]) {
        sent += n;
        assert!(sent < 1 << 30, "nothing holds it back");
    }
    // meanwhile another is served
    let mut other = dial(address);
    let (mut accepted, _) = server.accept().unwrap();
    other.write_all(b"here").unwrap();
    let mut got = [0; 4];
    accepted.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"here");
    slow.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    unread.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), sent);
    assert!(all.iter().enumerate().all(|(n, byte)| *byte == chunk[n % chunk.len()]));
    drop((slow, unread, other, accepted));
    running.stop();
}

#[test]
fn those_who_are_too_many_wait_outside() {
    let server = TcpListener::bind(here()).unwrap();
    let (mut relay, address) = tcp(server.local_addr().unwrap(), here());
    relay.max_links = 2;
    let running = Running::start(relay);
    let mut clients: Vec<_> = (0..3).map(|_| dial(address)).collect();
    let accepted: Vec<_> = (0..2).map(|_| server.accept().unwrap().0).collect();
    clients[2].write_all(b"third").unwrap();
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err());
    drop(accepted);
    clients.truncate(3);
    drop(clients.drain(..2));
    server.set_nonblocking(false).unwrap();
    let (mut third, _) = server.accept().unwrap();
    let mut got = [0; 5];
    third.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"third");
    running.stop();
}

#[test]
fn a_port_is_held_aimed_released_and_closed() {
    let held = |relay: &Relay| relay.ports().iter().map(|port| port.aim).collect::<Vec<_>>();
    let reserved = {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let socket = socket.unwrap();
        rustix::net::bind(&socket, &here()).unwrap();
        socket
    };
    let address = SocketAddr::try_from(rustix::net::getsockname(&reserved).unwrap()).unwrap();
    let port = key(Transport::Tcp, address);
    let mut relay = Relay::new().unwrap();
    relay.hold(port, reserved, Aim::Nowhere).unwrap();
    assert!(TcpListener::bind(address).is_err() && TcpStream::connect(address).is_err());
    assert!(relay.timer.is_none() && relay.poller.wait(Some(Timespec::default())).unwrap().is_empty());
    let server = TcpListener::bind(here()).unwrap();
    assert!(relay.aim(&port, Aim::To(server.local_addr().unwrap())).unwrap());
    assert!(!relay.aim(&key(Transport::Udp, address), Aim::Nowhere).unwrap());
    assert_eq!(held(&relay), [Aim::To(server.local_addr().unwrap())]);
    let running = Running::start(relay);
    let mut client = dial(address);
    let (mut accepted, _) = server.accept().unwrap();
    accepted.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let mut relay = running.stop();
    assert_eq!(relay.ports()[0].connections, 1);
    relay.release(&port);
    relay.release(&port);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(held(&relay).is_empty() && relay.links.is_empty());
    TcpListener::bind(address).unwrap();
}

#[test]
fn answers_to_datagrams_come_from_where_they_were_sent_to() {
    for (wildcard, local) in [
        (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))),
        (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from(([127, 7, 7, 7], 0))),
    ] {
        let server = UdpSocket::bind(here()).unwrap();
        let door = UdpSocket::bind(wildcard).unwrap();
        let port = door.local_addr().unwrap().port();
        let mut relay = Relay::new().unwrap();
        let aim = Aim::To(server.local_addr().unwrap());
        relay.hold(key(Transport::Udp, door.local_addr().unwrap()), door.into(), aim).unwrap();
        let running = Running::start(relay);
        let clients: Vec<_> =
            (0..3).map(|_| UdpSocket::bind(SocketAddr::new(local.ip(), 0)).unwrap()).collect();
        for socket in clients.iter().chain([&server]) {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut buffer = [0; 2048];
        for round in 0..2 {
            for (n, client) in clients.iter().enumerate() {
                client.connect(SocketAddr::new(local.ip(), port)).unwrap();
                client.send(&vec![n as u8; 1200 + round]).unwrap();
                let (len, from) = server.recv_from(&mut buffer).unwrap();
                assert_eq!((len, buffer[0]), (1200 + round, n as u8));
                server.send_to(&buffer[..len], from).unwrap();
                // a connected socket takes nothing from another address
                assert_eq!(client.recv(&mut buffer).unwrap(), 1200 + round);
                assert_eq!(buffer[0], n as u8);
            }
        }
        let mut relay = running.stop();
        assert_eq!((relay.flows.len(), relay.known.len()), (3, 3));
        assert!(relay.timer.is_some());
        relay.tick();
        assert_eq!(relay.flows.len(), 3);
        for flow in relay.flows.values_mut() {
            flow.last = flow.last.checked_sub(FLOW_SILENCE).unwrap();
        }
        relay.tick();
        assert!(relay.flows.is_empty() && relay.known.is_empty() && relay.timer.is_none());
    }
}

#[test]
fn there_are_only_so_many_flows() {
    // more than a login shell may open
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let server = UdpSocket::bind(here()).unwrap();
    let door = UdpSocket::bind(here()).unwrap();
    let to = door.local_addr().unwrap();
    let mut relay = Relay::new().unwrap();
    relay.hold(key(Transport::Udp, to), door.into(), Aim::To(server.local_addr().unwrap())).unwrap();
    for n in 0..MAX_FLOWS + 20 {
        let from: SocketAddr = ([127, 9, (n >> 8) as u8, n as u8], 0).into();
        UdpSocket::bind(from).unwrap().send_to(b"x", to).unwrap();
        relay.ready().unwrap();
    }
    assert_eq!((relay.flows.len(), relay.known.len()), (MAX_FLOWS, MAX_FLOWS));
}
