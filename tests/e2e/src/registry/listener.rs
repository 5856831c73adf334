//! A small HTTP/1.1 server that leaves its handler every freedom to break the protocol.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::lab::Namespace;

/// How much of a request's body is kept: enough for every layer that a test pushes.
const LONGEST_BODY: usize = 256 << 20;

/// Both directions of a connection, encrypted or not.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A request, its body read.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the connection ends with its answer, as RFC 9112, section 9.6 has it.
    pub fn is_last(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// All values of a parameter of the query, or of a body that is a form.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let form = match self.header("content-type") {
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => {
                String::from_utf8_lossy(&self.body).into_owned()
            }
            _ => String::new(),
        };
        let pairs = query.split('&').chain(form.split('&'));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| decode(value))
            .collect()
    }

    /// A parameter's first value.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }
}

/// Percent-encoding and `+`.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match (byte, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(code)) => {
                decoded.push(code);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (other, _) => decoded.push(*other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Answers a request; whether the connection stays open.
pub type Handler = Arc<dyn Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync>;

/// What a thread of a listener is to know: whether it has ended.
#[derive(Default)]
pub struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    /// Waits so long, unless the listener ends; whether it has.
    pub fn wait(&self, time: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(ended, time, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// Connections that are open, to be cut at the end.
type Open = Arc<Mutex<BTreeMap<u64, TcpStream>>>;

/// A listening socket and its threads. Its end is that of all its connections.
pub struct Listener {
    address: SocketAddr,
    socket: TcpListener,
    ended: Arc<Ended>,
    open: Open,
}

impl Listener {
    /// Listens at a free port of a loopback address, or of `at` in a namespace.
    pub fn start(
        place: Option<(&Namespace, std::net::IpAddr)>,
        ended: Arc<Ended>,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Result<Self> {
        let socket = match place {
            Some((netns, ip)) => netns.within(|| Ok(TcpListener::bind((ip, 0))?))?,
            None => TcpListener::bind(("127.0.0.1", 0))?,
        };
        let address = socket.local_addr()?;
        let open = Open::default();
        let (accepting, list, serve) = (socket.try_clone()?, open.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = accepting.accept() else { break };
                let Ok(copy) = stream.try_clone() else { continue };
                list.lock().unwrap_or_else(PoisonError::into_inner).insert(number, copy);
                let (serve, list) = (serve.clone(), list.clone());
                std::thread::spawn(move || {
                    serve(stream);
                    // There is a copy of it: dropping one of them closes nothing.
                    if let Some(copy) = list.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
                        let _ = copy.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Ok(Self { address, socket, ended, open })
    }

    /// Listens and speaks HTTP, over TLS if there is a configuration of it.
    pub fn http(
        place: Option<(&Namespace, std::net::IpAddr)>,
        tls: Option<Arc<ServerConfig>>,
        ended: Arc<Ended>,
        handler: Handler,
    ) -> Result<Self> {
        Self::start(place, ended, move |stream| {
            // The other end may go away whenever it likes: no error of the test.
            let _ = match &tls {
                None => converse(stream, &handler),
                Some(tls) => ServerConnection::new(tls.clone())
                    .map_err(io::Error::other)
                    .and_then(|session| converse(StreamOwned::new(session, stream), &handler)),
            };
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection that is open; it goes on listening.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.end();
        // accept(2) of a listening socket that is shut down fails
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.cut();
    }
}

fn converse(stream: impl Stream, handler: &Handler) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream)? {
        if !handler(&request, stream.get_mut())? || request.is_last() {
            break;
        }
        stream.get_mut().flush()?;
    }
    stream.get_mut().flush()
}

/// The next request; none at the end of the connection.
pub fn read_request(stream: &mut BufReader<impl Stream>) -> io::Result<Option<Request>> {
    let Some(mut request) = read_head(stream)? else { return Ok(None) };
    read_rest(stream, &mut request)?;
    Ok(Some(request))
}

/// The next request without its body.
pub fn read_head(stream: &mut BufReader<impl Stream>) -> io::Result<Option<Request>> {
    // A client that tries TLS first: the first byte of its greeting is that of a handshake record (RFC 8446, 5.1).
    if stream.fill_buf()?.first() == Some(&0x16) {
        stream.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
        return Err(io::Error::other("this is no TLS server"));
    }
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = read_headers(stream)?;
    Ok(Some(Request { method, target, headers, body: Vec::new() }))
}

/// The body of a request whose head was read.
pub fn read_rest(stream: &mut BufReader<impl Stream>, request: &mut Request) -> io::Result<()> {
    if request.header("expect") == Some("100-continue") {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = read_body(stream, &request.headers, 0)?;
    Ok(())
}

/// The lines up to the empty one.
pub(super) fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(headers);
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// A body by its headers; one that has neither length nor chunks is `otherwise` long.
pub(super) fn read_body(
    stream: &mut impl BufRead,
    headers: &[(String, String)],
    otherwise: u64,
) -> io::Result<Vec<u8>> {
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let mut body = Vec::new();
    if header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            stream.take(size).read_to_end(&mut body)?;
            stream.read_line(&mut line)?;
            if size == 0 || body.len() > LONGEST_BODY {
                return Ok(body);
            }
        }
    }
    let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    stream.take(length.min(LONGEST_BODY as u64)).read_to_end(&mut body)?;
    Ok(body)
}

/// Writes a whole answer.
pub fn answer(
    stream: &mut dyn Stream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<bool> {
    head(stream, status, headers, Some(body.len() as u64))?;
    stream.write_all(body)?;
    Ok(true)
}

/// Writes an answer's head, with a length if there is one.
pub fn head(
    stream: &mut dyn Stream,
    status: u16,
    headers: &[(&str, &str)],
    length: Option<u64>,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length {
        text += &format!("Content-Length: {length}\r\n");
    }
    text += "\r\n";
    stream.write_all(text.as_bytes())
}

/// What went wrong, as registries say it.
pub fn refuse(stream: &mut dyn Stream, status: u16, code: &str, message: &str) -> io::Result<bool> {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    answer(stream, status, &[("Content-Type", "application/json")], body.as_bytes())
}

/// An address's parts, for messages.
pub fn parse(address: &str) -> Result<SocketAddr> {
    address.parse().with_context(|| format!("{address:?} is no address"))
}
