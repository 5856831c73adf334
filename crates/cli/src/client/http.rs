//! HTTP/1.1 over one stream, blocking, and no more of it than the Engine API needs. A whole HTTP
//! library with its event loop would cost a third of the CLI's time budget.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use api::container::PathStat;

use super::Stream;
use crate::error::{Error, Result};

/// The longest status line or header line.
const LINE_LIMIT: u64 = 64 << 10;
/// The most headers of one answer.
const HEADER_LIMIT: usize = 128;

/// A connection between two messages.
pub(crate) type Connection = BufReader<Stream>;

/// What is sent along.
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Vec<u8>),
    /// A stream of unknown length and its media type.
    Stream(&'a mut dyn Read, &'static str),
    /// A stream of unknown length that is written piece by piece, and its media type.
    Produced(Source<'a>, &'static str),
}

/// Writes a body.
pub(crate) type Source<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// The head of an answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Head {
    /// Status code.
    pub(crate) status: u16,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    /// Media type of the body.
    pub(crate) content_type: String,
    path_stat: String,
}

impl Head {
    /// What the daemon says is at the path that it was asked for.
    pub(crate) fn path_stat(&self) -> Result<PathStat> {
        PathStat::decode(&self.path_stat).map_err(|error| {
            Error::Transport(format!("unable to decode container path stat header: {error}"))
        })
    }
}

/// Sends a request. `extra` are whole header lines.
pub(crate) fn send(
    connection: &mut Connection,
    method: &str,
    target: &str,
    extra: &[String],
    body: Body<'_>,
) -> io::Result<()> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: berth\r\nUser-Agent: {AGENT}\r\n");
    for line in extra {
        head.push_str(line);
        head.push_str("\r\n");
    }
    match body {
        Body::Empty => {
            if method != "GET" && method != "HEAD" {
                head.push_str("Content-Length: 0\r\n");
            }
            head.push_str("\r\n");
            connection.get_mut().write_all(head.as_bytes())
        }
        Body::Json(json) => {
            head.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                json.len()
            ));
            let mut message = head.into_bytes();
            message.extend_from_slice(&json);
            connection.get_mut().write_all(&message)
        }
        Body::Stream(source, media_type) => {
            head.push_str(&format!("Content-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            connection.get_mut().write_all(head.as_bytes())?;
            send_chunks(connection.get_mut(), source)
        }
        Body::Produced(source, media_type) => {
            head.push_str(&format!("Content-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            connection.get_mut().write_all(head.as_bytes())?;
            let mut chunks = Chunks::new(connection.get_mut());
            let done = source(&mut chunks);
            chunks.finish(done)
        }
    }
}

const AGENT: &str = concat!("Berth-Client/", env!("CARGO_PKG_VERSION"), " (linux)");

/// A daemon that refuses the body early closes its end; its answer still waits to be read, so a
/// broken pipe here is not the error to report.
fn send_chunks(stream: &mut Stream, source: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = source.read(&mut buffer)?;
        let mut chunk = format!("{count:x}\r\n").into_bytes();
        chunk.extend_from_slice(&buffer[..count]);
        chunk.extend_from_slice(b"\r\n");
        match stream.write_all(&chunk) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// Bytes of a chunk.
const CHUNK: usize = 64 << 10;

/// A body that is being written.
struct Chunks<'a> {
    stream: &'a mut Stream,
    piece: Vec<u8>,
    /// The daemon refused early: its answer waits to be read.
    refused: bool,
}

impl<'a> Chunks<'a> {
    fn new(stream: &'a mut Stream) -> Self {
        Self { stream, piece: Vec::with_capacity(CHUNK), refused: false }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.stream.write_all(bytes);
        self.refused |= sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        sent
    }

    /// The end of the body, if it is whole.
    fn finish(mut self, done: io::Result<()>) -> io::Result<()> {
        let sent = done.and_then(|()| self.flush()).and_then(|()| self.put(b"0\r\n\r\n"));
        if self.refused { Ok(()) } else { sent }
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(CHUNK - self.piece.len());
        self.piece.extend_from_slice(&bytes[..take]);
        if self.piece.len() == CHUNK {
            self.flush()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", self.piece.len()).into_bytes();
        chunk.append(&mut self.piece);
        chunk.extend_from_slice(b"\r\n");
        self.put(&chunk)
    }
}

/// Reads the head of an answer.
pub(crate) fn receive(connection: &mut Connection) -> io::Result<Head> {
    loop {
        let head = receive_one(connection)?;
        // 100 Continue and its like are followed by the real answer; 101 is one.
        if head.status >= 200 || head.status == 101 {
            return Ok(head);
        }
    }
}

fn receive_one(connection: &mut Connection) -> io::Result<Head> {
    let first = line(connection)?;
    let status =
        first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let mut head =
        Head { status: status.ok_or_else(|| invalid("the answer is no HTTP/1.1"))?, ..Head::default() };
    head.close = first.starts_with("HTTP/1.0");
    for _ in 0..HEADER_LIMIT {
        let text = line(connection)?;
        if text.is_empty() {
            return Ok(head);
        }
        let (name, value) = text.split_once(':').ok_or_else(|| invalid("malformed header"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                head.length = Some(value.parse().map_err(|_error| invalid("malformed Content-Length"))?);
            }
            "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => head.close |= value.eq_ignore_ascii_case("close"),
            "content-type" => head.content_type = value.to_owned(),
            "x-docker-container-path-stat" => head.path_stat = value.to_owned(),
            _ => {}
        }
    }
    Err(invalid("too many headers"))
}

fn line(connection: &mut Connection) -> io::Result<String> {
    let mut text = String::new();
    let count = connection.by_ref().take(LINE_LIMIT).read_line(&mut text)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !text.ends_with('\n') {
        return Err(invalid("header line too long"));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The body of an answer, as a stream.
pub(crate) struct Incoming {
    connection: Connection,
    left: Left,
    reusable: bool,
}

enum Left {
    /// This many bytes.
    Length(u64),
    /// This many bytes of the present chunk; then more chunks.
    Chunk(u64),
    /// Everything until the other end closes.
    Close,
    Done,
}

impl Incoming {
    /// The body that follows `head`; none after `HEAD`, 204 and 304.
    pub(crate) fn new(connection: Connection, head: &Head, bodyless: bool) -> Self {
        let left = if bodyless || matches!(head.status, 204 | 304) {
            Left::Done
        } else if head.chunked {
            Left::Chunk(0)
        } else {
            head.length.map_or(Left::Close, Left::Length)
        };
        Self { connection, left, reusable: !head.close }
    }

    /// The connection, if the next request may use it.
    pub(crate) fn into_idle(self) -> Option<Connection> {
        let done = matches!(self.left, Left::Done | Left::Length(0));
        (done && self.reusable).then_some(self.connection)
    }

    /// Whether something is here that `poll` on the socket would not tell of.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.connection.buffer().is_empty()
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut size = line(&mut self.connection)?;
        if size.is_empty() {
            size = line(&mut self.connection)?;
        }
        let digits = size.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_error| invalid("malformed chunk"))?;
        if size > 0 {
            self.left = Left::Chunk(size);
            return Ok(());
        }
        while !line(&mut self.connection)?.is_empty() {}
        self.left = Left::Done;
        Ok(())
    }
}

impl AsFd for Incoming {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.get_ref().as_fd()
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.left, Left::Chunk(0)) {
            self.next_chunk()?;
        }
        let limit = match self.left {
            Left::Done | Left::Length(0) => return Ok(0),
            Left::Close => buffer.len(),
            Left::Length(left) | Left::Chunk(left) => {
                buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX))
            }
        };
        let count = self.connection.read(&mut buffer[..limit])?;
        match &mut self.left {
            Left::Length(left) | Left::Chunk(left) if count > 0 => *left -= count as u64,
            Left::Length(_) | Left::Chunk(_) if !buffer.is_empty() => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            _ => {}
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn body_of(answer: &str) -> io::Result<(Head, String, bool)> {
        let (ours, mut theirs) = UnixStream::pair()?;
        theirs.write_all(answer.as_bytes())?;
        drop(theirs);
        let mut connection = BufReader::new(Stream::Unix(ours));
        let head = receive(&mut connection)?;
        let mut incoming = Incoming::new(connection, &head, false);
        let mut text = String::new();
        incoming.read_to_string(&mut text)?;
        Ok((head, text, incoming.into_idle().is_some()))
    }

    #[test]
    fn lengths_chunks_and_close() {
        let (head, text, idle) = body_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!((head.status, text.as_str(), idle), (200, "hi", true));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n";
        assert_eq!(body_of(chunked).unwrap().1, "hi yo");
        assert!(!body_of("HTTP/1.0 200 OK\r\n\r\nall").unwrap().2);
        assert_eq!(body_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n").unwrap().0.status, 204);
    }

    #[test]
    fn truncated_and_foreign_answers_are_errors() {
        assert!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi").is_err());
        assert!(body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi").is_err());
        assert!(body_of("SSH-2.0-x\r\n").is_err());
        assert!(body_of("").is_err());
    }
}
