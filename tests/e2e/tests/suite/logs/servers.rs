//! Log servers of the tests' own, on loopback or a socket file: they keep what arrives.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use e2e::programs;

/// What has arrived: the datagrams, or the bytes of each connection.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything so far.
    pub(super) fn all(&self) -> Vec<Vec<u8>> {
        self.with(|all| all.clone())
    }

    /// Everything so far in one piece.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.all().concat()).into_owned()
    }

    /// Everything, once `whole` says that it is.
    pub(super) fn wait(&self, whole: impl Fn(&[Vec<u8>]) -> bool) -> Result<Vec<Vec<u8>>> {
        let waited = programs::eventually("the log server has heard all", || {
            let all = self.all();
            Ok(whole(&all).then_some(all))
        });
        waited.map_err(|error| error.context(format!("it has heard {:?}", self.text())))
    }

    /// The lines, once there are `count`.
    pub(super) fn lines(&self, count: usize) -> Result<Vec<String>> {
        let lines = |all: &[Vec<u8>]| String::from_utf8_lossy(&all.concat()).lines().count();
        self.wait(|all| lines(all) >= count)?;
        Ok(self.text().lines().map(str::to_owned).collect())
    }
}

/// A UDP server; its port.
pub(super) fn udp() -> Result<(u16, Heard)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let (port, heard) = (socket.local_addr()?.port(), Heard::default());
    let theirs = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count) = socket.recv(&mut buffer) {
            theirs.with(|all| all.push(buffer[..count].to_vec()));
        }
    });
    Ok((port, heard))
}

/// A server on a datagram socket file.
pub(super) fn unixgram(path: &Path) -> Result<Heard> {
    let socket = UnixDatagram::bind(path)?;
    let heard = Heard::default();
    let theirs = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count) = socket.recv(&mut buffer) {
            theirs.with(|all| all.push(buffer[..count].to_vec()));
        }
    });
    Ok(heard)
}

/// What a TCP server does with a connection.
type Answer = fn(&[u8], &mut TcpStream);

/// A TCP server on this port (0: any); its port.
pub(super) fn tcp(port: u16, answer: Answer) -> Result<(u16, Heard)> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let (port, heard) = (listener.local_addr()?.port(), Heard::default());
    let theirs = heard.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let heard = theirs.clone();
            std::thread::spawn(move || {
                let at = heard.with(|all| {
                    all.push(Vec::new());
                    all.len() - 1
                });
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    heard.with(|all| all[at].extend_from_slice(&buffer[..count]));
                    answer(&buffer[..count], &mut stream);
                }
            });
        }
    });
    Ok((port, heard))
}

/// Says nothing.
pub(super) fn silent(_: &[u8], _: &mut TcpStream) {}

/// Acknowledges each event of fluentd's forward protocol that asks for it.
pub(super) fn acknowledge(bytes: &[u8], stream: &mut TcpStream) {
    let mut rest = bytes;
    while let Some(event) = super::wire::unpack(&mut rest) {
        if let Some(chunk) = event.at(3).get("chunk") {
            let mut answer = b"\x81\xa3ack".to_vec();
            answer.push(0xa0 | chunk.len() as u8);
            answer.extend_from_slice(chunk.as_bytes());
            let _ = stream.write_all(&answer);
        }
    }
}

/// A port where nobody listens now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Listens and accepts, but reads nothing until it is dropped.
pub(super) struct Stalled {
    listener: TcpListener,
    streams: Vec<TcpStream>,
}

impl Stalled {
    pub(super) fn new() -> Result<(u16, Self)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // the kernel would take some ten megabytes in its name
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 64 << 10)?;
        Ok((listener.local_addr()?.port(), Self { listener, streams: Vec::new() }))
    }

    /// Takes the connection that is made.
    pub(super) fn accept(&mut self) -> Result<()> {
        self.streams.push(self.listener.accept()?.0);
        Ok(())
    }

    /// Reads until this many lines have come.
    pub(super) fn read_lines(&mut self, count: usize) -> Result<String> {
        let stream = &mut self.streams[0];
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&*stream, 4 << 20)?;
        let (mut text, mut buffer) = (Vec::new(), vec![0; 65536]);
        while text.iter().filter(|&&byte| byte == b'\n').count() < count {
            match stream.read(&mut buffer)? {
                0 => break,
                read => text.extend_from_slice(&buffer[..read]),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
