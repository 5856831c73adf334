//! A registry that serves one picture and misbehaves as it is told, and counts what it sends.

mod store;

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::listener::{Ended, Listener, Request, Stream, answer, head, read_head, read_rest, refuse};
use super::{Picture, Site};
use crate::lab::Namespace;
use store::{Store, Whole};

/// How an answer goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection is closed after so many bytes of the body.
    Cut(u64),
    /// Says and sends so many bytes fewer than there are.
    Short(u64),
    /// Says the right length and sends more.
    Padded(Vec<u8>),
    /// The byte at this place of the whole is another.
    Flip(u64),
    /// One byte of the body after another, with so long between them.
    Drip(Duration),
    /// One byte of the head after another.
    DripHead(Duration),
    /// A chunked body that has no end.
    Endless,
    /// A head that has no end.
    EndlessHead,
    /// An answer with this status whose body has no end.
    EndlessError(u16),
    /// Redirects to itself.
    Loop,
    /// Redirects to the same path at another address.
    Away(String),
    /// 429, with so many seconds to wait.
    Busy(u64),
    /// Any other answer.
    Answer(u16, Vec<(String, String)>, Arc<Vec<u8>>),
    /// The right answer with one header set otherwise.
    Header(String, String),
    /// The whole, whatever range was asked for.
    NoRanges,
    /// Says that it is the range that was asked for, and sends the beginning.
    WrongRange,
    /// Sends so many bytes of the body and then nothing, until [`Faulty::release`].
    Hold(u64),
    /// Takes the request and says nothing, until the end or [`Faulty::release`]; then the connection is closed.
    Silent,
    /// Not faster than so many bytes a second.
    Slow(u64),
    /// Reads so many bytes of the request's body and closes the connection.
    Deaf(u64),
}

impl Fault {
    /// An answer with a body of this type.
    pub fn body(media: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), media.to_owned())];
        Self::Answer(200, headers, Arc::new(bytes.into()))
    }

    /// An error as registries say it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Answer(status, headers, Arc::new(body.into_bytes()))
    }
}

/// When a fault happens.
struct Rule {
    method: Option<String>,
    part: String,
    skip: u32,
    times: u32,
    fault: Fault,
}

/// A request that was made, and what it got.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request without its body.
    pub request: Request,
    /// Bytes of its body.
    pub received: u64,
    /// Bytes of the answer's body that were written.
    pub sent: u64,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    store: Mutex<Store>,
    /// `WWW-Authenticate` for whoever says nothing.
    challenge: Mutex<Option<String>>,
    released: Mutex<bool>,
    ended: Arc<Ended>,
}

/// The running registry.
pub struct Faulty {
    listener: Listener,
    state: Arc<State>,
}

impl Faulty {
    /// Serves a picture, in whatever repository and by whatever tag it is asked for.
    pub fn start(picture: &Picture) -> Result<Self> {
        Self::at(picture, None, None)
    }

    /// The same somewhere else, or over TLS.
    pub fn at(
        picture: &Picture,
        place: Option<(&Namespace, std::net::IpAddr)>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self> {
        let state = Arc::new(State::default());
        *lock(&state.store) = Store::new(picture.clone());
        let serving = state.clone();
        let listener = Listener::start(place, state.ended.clone(), move |stream| {
            // The other end may go away whenever it likes.
            let _ = match &tls {
                None => serving.converse(stream),
                Some(tls) => ServerConnection::new(tls.clone())
                    .map_err(io::Error::other)
                    .and_then(|session| serving.converse(StreamOwned::new(session, stream))),
            };
        })?;
        Ok(Self { listener, state })
    }

    /// Where it is.
    pub fn site(&self) -> Site {
        Site::open(self.listener.address().to_string())
    }

    /// The next `times` requests whose target holds `part` go wrong.
    pub fn fault(&self, part: &str, times: u32, fault: Fault) {
        self.rule(None, part, 0, times, fault);
    }

    /// As [`Faulty::fault`] for one method, after so many that go well.
    pub fn rule(&self, method: Option<&str>, part: &str, skip: u32, times: u32, fault: Fault) {
        let method = method.map(str::to_owned);
        lock(&self.state.rules).push(Rule { method, part: part.to_owned(), skip, times, fault });
    }

    /// Everything goes well from now on.
    pub fn mend(&self) {
        lock(&self.state.rules).clear();
        self.release();
    }

    /// What is held goes on.
    pub fn release(&self) {
        *lock(&self.state.released) = true;
    }

    /// Whoever says nothing is told this.
    pub fn guard(&self, challenge: &str) {
        *lock(&self.state.challenge) = Some(challenge.to_owned());
    }

    /// Serves another picture by its tags; what it has stays.
    pub fn replace(&self, picture: &Picture) {
        lock(&self.state.store).replace(picture);
    }

    /// What is in it.
    pub fn picture(&self) -> Picture {
        lock(&self.state.store).picture.clone()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// Those whose target holds `part`.
    pub fn asked(&self, method: &str, part: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|one| one.request.method == method && one.request.target.contains(part));
        seen
    }

    /// Bytes of a blob that were sent so far.
    pub fn fetched(&self, digest: &str) -> u64 {
        self.asked("GET", digest).iter().map(|seen| seen.sent).sum()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        lock(&self.state.seen).clear();
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        self.listener.cut();
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn converse(&self, stream: impl Stream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(mut request) = read_head(&mut stream)? {
            let fault = self.choose(&request);
            if let Some(Fault::Deaf(bytes)) = fault {
                // without a length and without chunks there is no body to wait for
                let length = request.header("content-length").and_then(|text| text.parse().ok());
                let bytes = match request.header("transfer-encoding") {
                    Some(_) => bytes,
                    None => bytes.min(length.unwrap_or(0)),
                };
                io::copy(&mut (&mut stream).take(bytes), &mut io::sink())?;
                return Ok(());
            }
            read_rest(&mut stream, &mut request)?;
            let received = request.body.len() as u64;
            let note = Request { body: Vec::new(), ..request.clone() };
            let index = {
                let mut seen = lock(&self.seen);
                seen.push(Seen { request: note, received, sent: 0 });
                seen.len() - 1
            };
            if !self.serve(&request, index, fault, stream.get_mut())? || request.is_last() {
                break;
            }
            stream.get_mut().flush()?;
        }
        stream.get_mut().flush()
    }

    /// The fault of the first rule that fits and is not used up.
    fn choose(&self, request: &Request) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let fits = |rule: &&mut Rule| {
            rule.times > 0
                && rule.method.as_ref().is_none_or(|method| *method == request.method)
                && request.target.contains(&rule.part)
        };
        let rule = rules.iter_mut().find(fits)?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    fn serve(
        &self,
        request: &Request,
        index: usize,
        fault: Option<Fault>,
        stream: &mut dyn Stream,
    ) -> io::Result<bool> {
        if let Some(challenge) = lock(&self.challenge).clone()
            && request.header("authorization").is_none()
        {
            let headers = [("WWW-Authenticate", challenge.as_str())];
            return answer(stream, 401, &headers, b"{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}");
        }
        match fault {
            Some(Fault::Loop) => answer(stream, 307, &[("Location", request.target.as_str())], b""),
            Some(Fault::Away(address)) => {
                answer(stream, 307, &[("Location", &format!("{address}{}", request.target))], b"")
            }
            Some(Fault::Busy(seconds)) => {
                answer(stream, 429, &[("Retry-After", &seconds.to_string())], b"slow down")
            }
            Some(Fault::Answer(status, headers, body)) => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                head(stream, status, &headers, Some(body.len() as u64))?;
                if request.method != "HEAD" {
                    self.send(index, &body, stream)?;
                }
                Ok(true)
            }
            Some(Fault::Silent) => {
                self.wait_for_release();
                Ok(false)
            }
            Some(Fault::Endless) => self.flood(index, 200, stream),
            Some(Fault::EndlessError(status)) => self.flood(index, status, stream),
            Some(Fault::EndlessHead) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(&[b"X-More: ".as_slice(), &[b'x'; 1000], b"\r\n"].concat())?;
                }
            }
            other => {
                let known = lock(&self.store).answer(request);
                match known {
                    Some(Whole { status, headers, body }) => {
                        self.part(request, index, (status, headers, &body), other, stream)
                    }
                    None => refuse(stream, 404, "MANIFEST_UNKNOWN", "there is no such thing"),
                }
            }
        }
    }

    /// The right answer, or nearly.
    fn part(
        &self,
        request: &Request,
        index: usize,
        (mut status, mut headers, body): (u16, Vec<(String, String)>, &[u8]),
        fault: Option<Fault>,
        stream: &mut dyn Stream,
    ) -> io::Result<bool> {
        let mut body = body.to_vec();
        if let Some(Fault::Flip(place)) = fault
            && let Some(byte) = body.get_mut(place as usize)
        {
            *byte ^= 0x55;
        }
        if let Some(Fault::Header(name, value)) = &fault {
            headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        let whole = body.len();
        if let (Some((from, to)), 200) = (range(request, whole), status)
            && !matches!(fault, Some(Fault::NoRanges))
        {
            status = 206;
            headers.push(("Content-Range".to_owned(), format!("bytes {from}-{}/{whole}", to - 1)));
            let start = if matches!(fault, Some(Fault::WrongRange)) { 0 } else { from };
            body = body[start..start + (to - from)].to_vec();
        }
        let said = match fault {
            Some(Fault::Short(bytes)) => {
                body.truncate(body.len().saturating_sub(bytes as usize));
                body.len()
            }
            _ => body.len(),
        };
        let mut first = Vec::new();
        {
            let listed: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            head(&mut io::Cursor::new(&mut first), status, &listed, Some(said as u64))?;
        }
        if let Some(Fault::DripHead(pause)) = fault {
            for byte in first {
                stream.write_all(&[byte])?;
                stream.flush()?;
                if self.ended.wait(pause) {
                    return Ok(false);
                }
            }
        } else {
            stream.write_all(&first)?;
        }
        if request.method == "HEAD" {
            return Ok(true);
        }
        self.body(index, &body, fault, stream)
    }

    fn body(
        &self,
        index: usize,
        body: &[u8],
        fault: Option<Fault>,
        stream: &mut dyn Stream,
    ) -> io::Result<bool> {
        let until = |bytes: u64| &body[..body.len().min(bytes as usize)];
        match fault {
            Some(Fault::Cut(bytes)) => {
                self.send(index, until(bytes), stream)?;
                stream.flush()?;
                Ok(false)
            }
            Some(Fault::Padded(more)) => {
                self.send(index, body, stream)?;
                stream.write_all(&more)?;
                Ok(true)
            }
            Some(Fault::Drip(pause)) => {
                for byte in body {
                    self.send(index, &[*byte], stream)?;
                    stream.flush()?;
                    if self.ended.wait(pause) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Some(Fault::Slow(rate)) => {
                for part in body.chunks((rate / 20).max(1) as usize) {
                    self.send(index, part, stream)?;
                    stream.flush()?;
                    if self.ended.wait(Duration::from_millis(50)) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Some(Fault::Hold(bytes)) => {
                let first = until(bytes);
                self.send(index, first, stream)?;
                stream.flush()?;
                if self.wait_for_release() {
                    return Ok(false);
                }
                self.send(index, &body[first.len()..], stream)?;
                Ok(true)
            }
            _ => {
                self.send(index, body, stream)?;
                Ok(true)
            }
        }
    }

    /// Waits for [`Faulty::release`], unless everything ends; whether it does.
    fn wait_for_release(&self) -> bool {
        while !*lock(&self.released) {
            if self.ended.wait(Duration::from_millis(20)) {
                return true;
            }
        }
        false
    }

    /// Writes bytes of a body, counted as they go.
    fn send(&self, index: usize, bytes: &[u8], stream: &mut dyn Stream) -> io::Result<()> {
        for part in bytes.chunks(64 << 10) {
            stream.write_all(part)?;
            if let Some(seen) = lock(&self.seen).get_mut(index) {
                seen.sent += part.len() as u64;
            }
        }
        Ok(())
    }

    /// Chunks for as long as somebody reads them.
    fn flood(&self, index: usize, status: u16, stream: &mut dyn Stream) -> io::Result<bool> {
        head(stream, status, &[("Transfer-Encoding", "chunked")], None)?;
        let chunk = [b"8000\r\n".as_slice(), &[b' '; 0x8000], b"\r\n"].concat();
        loop {
            self.send(index, &chunk, stream)?;
        }
    }
}

/// `bytes=FROM-` or `bytes=FROM-TO`, as a half-open range within the whole.
fn range(request: &Request, whole: usize) -> Option<(usize, usize)> {
    let (from, to) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = to.parse::<usize>().map_or(whole, |last| whole.min(last + 1));
    (from < to).then_some((from, to))
}
