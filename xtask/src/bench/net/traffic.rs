//! Bytes and packets through bridges and published ports.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::lab::Namespace;
use e2e::peers::Docker;
use e2e::{Berth, programs};

use super::super::measure::{Row, in_turn, median, together};
use super::{Inside, sides};

/// iperf3's own port.
const PORT: u16 = 5201;
/// Seconds of each flood, and floods of each side.
const SECONDS: &str = "2";
const FLOODS: usize = 3;
/// Packets there and back, one at a time, of each run.
const TRIPS: u32 = 3_000;
const ROUNDS: usize = 7;

/// From a container to another on the same bridge.
pub(crate) fn between(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let bare = Bare::new()?;
    let mut pairs = vec![(bare.a.clone(), Inside { netns: bare.b.clone(), ip: Bare::B })];
    for engine in &engines {
        pairs.push((engine.container("bench-a", &[])?.netns, engine.container("bench-b", &[])?));
    }
    let servers: Vec<Server> = pairs.iter().map(|(_, to)| Server::start(to)).collect::<Result<_>>()?;
    let one = |at: usize| move |pairs: &[(Namespace, Inside)]| flood(&pairs[at].0, pairs[at].1.ip, PORT);
    let [bare_runs, ours, dockers] = [one(0), one(1), one(2)];
    let figures =
        together(&mut [&mut || ours(&pairs), &mut || bare_runs(&pairs), &mut || dockers(&pairs)], FLOODS);
    drop(servers);
    for engine in &engines {
        engine.remove(&["bench-a", "bench-b"])?;
    }
    bare.remove()?;
    let figures = figures?;
    let work = "TCP, container to container on one bridge";
    Ok(vec![
        Row::rate(work, "Gbit/s", figures[0], "bare veth and bridge", figures[1]),
        Row::rate(work, "Gbit/s", figures[0], "docker", figures[2]),
    ])
}

/// From the host to a port that is published on 127.0.0.1, beside the container's own address.
pub(crate) fn published(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let host = Namespace::of(std::process::id())?;
    let ports = [5211, 5212];
    let mut to = Vec::new();
    for (engine, port) in engines.iter().zip(ports) {
        to.push(engine.container("bench-a", &["-p", &format!("127.0.0.1:{port}:{PORT}")])?);
    }
    let servers: Vec<Server> = to.iter().map(Server::start).collect::<Result<_>>()?;
    let figures = together(
        &mut [
            &mut || flood(&host, Ipv4Addr::LOCALHOST, ports[0]),
            &mut || flood(&host, to[0].ip, PORT),
            &mut || flood(&host, Ipv4Addr::LOCALHOST, ports[1]),
        ],
        FLOODS,
    );
    drop(servers);
    for engine in &engines {
        engine.remove(&["bench-a"])?;
    }
    let figures = figures?;
    let work = "TCP, host to a port published on 127.0.0.1";
    Ok(vec![
        Row::rate(work, "Gbit/s", figures[0], "its container's address", figures[1]),
        Row::rate(work, "Gbit/s", figures[0], "docker", figures[2]),
    ])
}

/// A byte over UDP through a published port, and its answer.
pub(crate) fn round_trips(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let ports = [5221, 5222];
    let mut echoes = Vec::new();
    for (engine, port) in engines.iter().zip(ports) {
        let inside = engine.container("bench-a", &["-p", &format!("127.0.0.1:{port}:{PORT}/udp")])?;
        echoes.push(Echo::start(&inside)?);
    }
    let figures = in_turn(|| trips(ports[0]), || trips(ports[1]), ROUNDS);
    drop(echoes);
    for engine in &engines {
        engine.remove(&["bench-a"])?;
    }
    let (ours, theirs) = figures?;
    Ok(vec![Row::new("UDP there and back, port published on 127.0.0.1", "µs", ours, "docker", theirs)])
}

/// Gbit/s that arrive.
fn flood(from: &Namespace, to: Ipv4Addr, port: u16) -> Result<f64> {
    let (to, port) = (to.to_string(), port.to_string());
    let client = ["-J", "-c", &to, "-p", &port, "-t", SECONDS];
    let said = from.run(Command::new("/usr/bin/iperf3").args(client))?.ok()?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let bits = said["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.with_context(|| format!("iperf3 said {said}"))? / 1e9)
}

/// `iperf3 -s` in a container's namespace.
struct Server(Child);

impl Server {
    fn start(inside: &Inside) -> Result<Self> {
        let mut command = Command::new("/usr/bin/iperf3");
        command.args(["-s", "-p", &PORT.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(inside.netns.spawn(&mut command)?);
        programs::eventually("iperf3 listens", || {
            inside.netns.within(|| Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_ok().then_some(())))
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends back what it gets, until an empty packet comes.
struct Echo {
    netns: Namespace,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Echo {
    fn start(inside: &Inside) -> Result<Self> {
        let socket = inside.netns.within(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?))?;
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((1.., peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..1], peer);
            }
        });
        Ok(Self { netns: inside.netns.clone(), thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.netns.within(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok(socket.send_to(&[], (Ipv4Addr::LOCALHOST, PORT))?)
        });
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Microseconds of one trip: the median.
fn trips(port: u16) -> Result<f64> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let mut buffer = [0; 8];
    let one = |_| {
        let start = Instant::now();
        socket.send(b"?")?;
        socket.recv(&mut buffer).context("an answer over UDP is lost")?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    };
    (0..TRIPS).map(one).collect::<Result<_>>().map(median)
}

/// Two namespaces on a bridge, with nothing else.
struct Bare {
    host: Namespace,
    a: Namespace,
    b: Namespace,
}

impl Bare {
    const B: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

    fn new() -> Result<Self> {
        let host = Namespace::of(std::process::id())?;
        host.ip("link add bare type bridge")?;
        host.ip("link set bare up")?;
        let (a, b) = (Namespace::new()?, Namespace::new()?);
        for (port, netns, ip) in [("bare-a", &a, "10.99.0.1/24"), ("bare-b", &b, "10.99.0.2/24")] {
            host.cable(port, netns, "eth0")?;
            host.ip(&format!("link set {port} master bare"))?;
            netns.ip(&format!("addr add {ip} dev eth0"))?;
        }
        Ok(Self { host, a, b })
    }

    fn remove(&self) -> Result<()> {
        self.host.ip("link del bare").map(drop)
    }
}
