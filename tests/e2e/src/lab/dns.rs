//! A name server outside, which takes its time, and a client that counts.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::Namespace;
use crate::programs;

/// Length of a message's header.
const HEADER_LEN: usize = 12;

/// What is not answered by then is lost: a resolver asks three servers for four seconds each.
const SILENCE: Duration = Duration::from_secs(15);

/// Bytes that a socket keeps for a program that is slow to take them: what is lost is lost on the way.
const QUEUE: usize = 8 << 20;

/// A question: an id, `RD`, one name and type, class `IN`.
pub fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// What an answer says: its response code, whether it is truncated, and the addresses in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// `RCODE`.
    pub code: u8,
    /// `TC`.
    pub truncated: bool,
    /// Addresses of `A` records, in order.
    pub addresses: Vec<String>,
}

impl Told {
    /// Reads an answer to a question of one name.
    pub fn read(message: &[u8]) -> Result<Self> {
        let head = message.first_chunk::<HEADER_LEN>().context("a short answer")?;
        let mut told = Self { code: head[3] & 0xf, truncated: head[2] & 2 != 0, addresses: Vec::new() };
        let mut at = after_name(message, HEADER_LEN)? + 4;
        for _ in 0..u16::from_be_bytes([head[6], head[7]]) {
            at = after_name(message, at)?;
            let fixed = message.get(at..at + 10).context("a short record")?;
            let len = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            let data = message.get(at + 10..at + 10 + len).context("a short record")?;
            if let (&[0, 1], &[a, b, c, d]) = (&fixed[..2], data) {
                told.addresses.push(format!("{a}.{b}.{c}.{d}"));
            }
            at += 10 + len;
        }
        Ok(told)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = if self.truncated { " truncated" } else { "" };
        write!(f, "{} [{}]{cut}", self.code, self.addresses.join(" "))
    }
}

fn after_name(message: &[u8], mut at: usize) -> Result<usize> {
    loop {
        match *message.get(at).context("a name without an end")? {
            0 => return Ok(at + 1),
            len if len >= 0xc0 => return Ok(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}

/// What a name server of a test does with a question.
pub type Script = fn(query: &[u8], name: &str, tcp: bool) -> Option<Vec<u8>>;

/// Answers with one `A` record.
pub fn address(query: &[u8], ip: [u8; 4]) -> Vec<u8> {
    addresses(query, &[ip])
}

/// Answers with `A` records, however many.
pub fn addresses(query: &[u8], ips: &[[u8; 4]]) -> Vec<u8> {
    let mut answer = only_question(query);
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..8].copy_from_slice(&(ips.len() as u16).to_be_bytes());
    for ip in ips {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ip);
    }
    answer
}

/// Answers with a code and nothing else; `TC` as well if `truncated`.
pub fn code(query: &[u8], code: u8, truncated: bool) -> Vec<u8> {
    let mut answer = only_question(query);
    answer[2..4].copy_from_slice(&[0x81 | u8::from(truncated) << 1, 0x80 | code]);
    answer
}

/// The query without its further records.
fn only_question(query: &[u8]) -> Vec<u8> {
    let end = after_name(query, HEADER_LEN).map_or(query.len(), |at| (at + 4).min(query.len()));
    let mut answer = query[..end].to_vec();
    answer.resize(answer.len().max(HEADER_LEN), 0);
    answer[6..12].fill(0);
    answer
}

/// A name server over UDP and TCP. It ends when it is dropped.
pub struct NameServer {
    sockets: Vec<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Listens on an address of a namespace, port 53; each answer goes out `delay` after its question came.
    pub fn start(netns: &Namespace, ip: &str, delay: Duration, script: Script) -> Result<Self> {
        let (udp, tcp) = netns.within(|| Ok((UdpSocket::bind((ip, 53))?, TcpListener::bind((ip, 53))?)))?;
        set_socket_recv_buffer_size_force(&udp, QUEUE)?;
        let sockets = vec![udp.as_fd().try_clone_to_owned()?, tcp.as_fd().try_clone_to_owned()?];
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut threads = Vec::new();
        let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>, SocketAddr)>();
        let (answering, heard) = (udp.try_clone()?, Arc::clone(&asked));
        threads.push(std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((1.., _)) = udp.peek_from(&mut buffer) {
                let Ok((len, peer)) = udp.recv_from(&mut buffer) else { break };
                if let Some(answer) = judge(&heard, &buffer[..len], false, script) {
                    let _ = sender.send((Instant::now() + delay, answer, peer));
                }
            }
        }));
        // In the order in which they came.
        threads.push(std::thread::spawn(move || {
            for (due, answer, peer) in receiver {
                wait_until(due);
                let _ = answering.send_to(&answer, peer);
            }
        }));
        let heard = Arc::clone(&asked);
        threads.push(std::thread::spawn(move || {
            while let Ok((stream, _)) = tcp.accept() {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || converse(&heard, stream, delay, script));
            }
        }));
        Ok(Self { sockets, threads, asked })
    }

    /// What it was asked since the last time, as `udp NAME` or `tcp NAME`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.asked))
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        for socket in &self.sockets {
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn judge(asked: &Mutex<Vec<String>>, query: &[u8], tcp: bool, script: Script) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = HEADER_LEN;
    while let Some(&len @ 1..) = query.get(at) {
        labels.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + usize::from(len))?).into_owned());
        at += 1 + usize::from(len);
    }
    let name = labels.join(".");
    lock(asked).push(format!("{} {name}", if tcp { "tcp" } else { "udp" }));
    script(query, &name, tcp)
}

fn converse(asked: &Mutex<Vec<String>>, mut stream: TcpStream, delay: Duration, script: Script) {
    while let Ok(query) = read(&mut stream) {
        let Some(answer) = judge(asked, &query, true, script) else { return };
        wait_until(Instant::now() + delay);
        if write(&mut stream, &answer).is_err() {
            return;
        }
    }
}

/// Nobody sends on the channel: it ends by its time-out.
fn wait_until(due: Instant) {
    let (_sender, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(due.saturating_duration_since(Instant::now()));
}

/// One message over TCP.
pub fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// One message over TCP.
pub fn write(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(&[&(message.len() as u16).to_be_bytes(), message].concat())
}

/// A client in a container, asking the embedded resolver over UDP.
pub struct Client {
    socket: UdpSocket,
    answers: BTreeMap<u16, Told>,
}

impl Client {
    /// In a namespace, asking this server.
    pub fn new(netns: &Namespace, server: &str) -> Result<Self> {
        let socket = netns.within(|| Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        set_socket_recv_buffer_size_force(&socket, QUEUE)?;
        socket.connect((server, 53))?;
        socket.set_read_timeout(Some(SILENCE))?;
        Ok(Self { socket, answers: BTreeMap::new() })
    }

    /// Another handle, to ask while this one listens.
    pub fn asking(&self) -> Result<UdpSocket> {
        Ok(self.socket.try_clone()?)
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, query: &[u8]) -> Result<Option<Vec<u8>>> {
        self.socket.send(query)?;
        let mut buffer = vec![0; 65536];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) if buffer.get(..2) == query.get(..2) => return Ok(Some(buffer[..len].to_vec())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Listens until as many different questions are answered as `count` says (which may not be known at first), or
    /// nothing comes any more.
    pub fn collect(mut self, count: impl Fn() -> usize, so_far: &AtomicU64) -> Result<BTreeMap<u16, Told>> {
        let (mut buffer, mut last) = ([0; 4096], Instant::now());
        self.socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        while self.answers.len() < count() && last.elapsed() < programs::patient(programs::PATIENCE) {
            let Ok(len) = self.socket.recv(&mut buffer) else { continue };
            let id = u16::from_be_bytes(*buffer[..len].first_chunk().context("an answer")?);
            self.answers.insert(id, Told::read(&buffer[..len])?);
            so_far.store(self.answers.len() as u64, Ordering::Relaxed);
            last = Instant::now();
        }
        Ok(self.answers)
    }
}
