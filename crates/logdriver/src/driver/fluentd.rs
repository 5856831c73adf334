//! `fluentd`: the forward protocol's message mode over MessagePack.
//!
//! Without `fluentd-async` the container waits while the server is away; what the connection's end may have
//! swallowed is sent again. With it, messages wait in memory, and beyond the limit further ones are lost.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shim::log::frame::Message;

use super::{BATCH, Driver, PartIds, msgpack};
use crate::forward::connection::{Connection, connect};
use crate::forward::patience::{Patience, is_given_up};
use crate::settings::{self, Tls};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest wait between two tries, and how much longer each is.
const MAX_WAIT: Duration = Duration::from_secs(60);
const GROWTH: f64 = 1.5;
/// Most memory that waiting messages take, whatever the limit of their number.
const MAX_QUEUED: usize = 256 << 20;
/// Longest answer of a server.
const MAX_ANSWER: usize = 4096;

pub(super) fn open(settings: &settings::Fluentd, patience: &mut Patience) -> io::Result<Box<dyn Driver>> {
    let encoder = Encoder { settings: settings.clone(), ids: PartIds::new()? };
    let mut sender = Sender { settings: settings.clone(), connection: None, since: Instant::now() };
    if settings.is_async {
        return Ok(Box::new(Async::start(encoder, sender)?));
    }
    sender.connect(patience)?;
    Ok(Box::new(Sync { encoder, sender, out: Vec::new() }))
}

struct Encoder {
    settings: settings::Fluentd,
    ids: PartIds,
}

/// One event, and the name under which the server acknowledges it.
struct Event {
    bytes: Vec<u8>,
    chunk: Option<String>,
}

impl Encoder {
    fn event(&self, message: &Message<'_>) -> io::Result<Event> {
        let source = message.stream.name();
        let mut own = vec![("source", source.as_bytes().to_vec()), ("log", message.line.to_vec())];
        if let Some(part) = message.part {
            own.extend([
                ("partial_message", b"true".to_vec()),
                ("partial_id", self.ids.of(part).into_bytes()),
                ("partial_ordinal", part.ordinal.to_string().into_bytes()),
                ("partial_last", part.last.to_string().into_bytes()),
            ]);
        }
        // what the user asked for comes after Docker's own members, and those of the message before all
        let record = self.settings.record.iter().filter(|(name, _)| own.iter().all(|(own, _)| own != name));
        let record: Vec<_> = record.collect();
        let mut bytes = Vec::with_capacity(message.line.len() + 256);
        msgpack::array(&mut bytes, 4);
        msgpack::string(&mut bytes, self.settings.tag.as_bytes());
        let (seconds, nanos) =
            (message.nanos.div_euclid(1_000_000_000), message.nanos.rem_euclid(1_000_000_000));
        if self.settings.sub_second {
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            msgpack::event_time(&mut bytes, seconds, u32::try_from(nanos).unwrap_or_default());
        } else {
            msgpack::seconds(&mut bytes, seconds);
        }
        msgpack::map(&mut bytes, record.len() + own.len());
        for (name, value) in record {
            msgpack::string(&mut bytes, name.as_bytes());
            msgpack::string(&mut bytes, value.as_bytes());
        }
        for (name, value) in &own {
            msgpack::string(&mut bytes, name.as_bytes());
            msgpack::string(&mut bytes, value);
        }
        let chunk = self.settings.request_ack.then(chunk).transpose()?;
        msgpack::map(&mut bytes, usize::from(chunk.is_some()));
        if let Some(chunk) = &chunk {
            msgpack::string(&mut bytes, b"chunk");
            msgpack::string(&mut bytes, chunk.as_bytes());
        }
        Ok(Event { bytes, chunk })
    }
}

fn chunk() -> io::Result<String> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(STANDARD.encode(id))
}

/// Gets bytes to the server whatever it takes, within the retries that the user allows.
struct Sender {
    settings: settings::Fluentd,
    connection: Option<Connection>,
    since: Instant,
}

impl Sender {
    fn connect(&mut self, patience: &mut Patience) -> io::Result<()> {
        let tls = self.settings.tls.then(Tls::default);
        self.connection = Some(connect(&self.settings.address, tls.as_ref(), patience, Some(CONNECT))?);
        self.since = Instant::now();
        Ok(())
    }

    fn deliver(&mut self, bytes: &[u8], chunk: Option<&str>, patience: &mut Patience) -> io::Result<()> {
        let mut tries = 0;
        loop {
            let error = match self.try_once(bytes, chunk, patience) {
                Err(error) if !is_given_up(&error) => error,
                other => return other,
            };
            self.connection = None;
            if tries >= self.settings.max_retries {
                return Err(io::Error::other(format!(
                    "fluent#write: failed to write after {tries} attempts: {error}"
                )));
            }
            patience.wait(None, Some(self.wait(tries)))?;
            tries += 1;
        }
    }

    fn wait(&self, tries: u64) -> Duration {
        let growth = GROWTH.powi(i32::try_from(tries).unwrap_or(i32::MAX));
        let wait = self.settings.retry_wait.as_secs_f64() * growth;
        // not a number only when there is no wait at all
        Duration::from_secs_f64(wait.clamp(0.0, MAX_WAIT.as_secs_f64()))
    }

    fn try_once(&mut self, bytes: &[u8], chunk: Option<&str>, patience: &mut Patience) -> io::Result<()> {
        let old = self.settings.reconnect_interval.is_some_and(|interval| self.since.elapsed() > interval);
        if self.connection.is_none() || old {
            self.connect(patience)?;
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.send(bytes, patience, self.settings.write_timeout)?;
        let Some(chunk) = chunk else { return Ok(()) };
        let mut answer = Vec::new();
        loop {
            match msgpack::find(&answer, "ack") {
                Ok(Some(ack)) if ack == chunk => return Ok(()),
                Ok(None) if answer.len() < MAX_ANSWER => {}
                _ => return Err(io::Error::other("the server acknowledges something else")),
            }
            let mut buffer = [0; 256];
            match connection.receive(&mut buffer, patience, self.settings.read_timeout)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// The container waits.
struct Sync {
    encoder: Encoder,
    sender: Sender,
    /// Whole events that need no answer.
    out: Vec<u8>,
}

impl Driver for Sync {
    fn log(&mut self, message: &Message<'_>, patience: &mut Patience) -> io::Result<()> {
        let event = self.encoder.event(message)?;
        if event.chunk.is_some() {
            return self.sender.deliver(&event.bytes, event.chunk.as_deref(), patience);
        }
        self.out.extend_from_slice(&event.bytes);
        if self.out.len() < BATCH { Ok(()) } else { self.flush(patience) }
    }

    fn flush(&mut self, patience: &mut Patience) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        self.sender.deliver(&out, None, patience)
    }
}

/// Messages wait in memory, and a thread sends them.
struct Async {
    encoder: Encoder,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    /// Closed at the end: what the thread's patience looks at.
    end: Option<io::PipeWriter>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // nobody panics while holding it
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event; `None` when there will be no more.
    fn next(&self) -> Option<Event> {
        let mut waiting = self.lock();
        loop {
            if let Some(event) = waiting.events.pop_front() {
                waiting.bytes -= event.bytes.len();
                return Some(event);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Async {
    fn start(encoder: Encoder, mut sender: Sender) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (reader, writer) = io::pipe()?;
        let mut patience = Patience::until_closed(reader.into());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("send".to_owned()).spawn(move || {
            while let Some(event) = theirs.next() {
                let sent = sender.deliver(&event.bytes, event.chunk.as_deref(), &mut patience);
                if sent.is_err_and(|error| is_given_up(&error)) {
                    return;
                }
            }
        })?;
        Ok(Self { encoder, queue, thread: Some(thread), end: Some(writer) })
    }
}

impl Driver for Async {
    fn log(&mut self, message: &Message<'_>, _: &mut Patience) -> io::Result<()> {
        let event = self.encoder.event(message)?;
        let mut waiting = self.queue.lock();
        let limit = self.encoder.settings.buffer_limit;
        if waiting.events.len() as u64 >= limit || waiting.bytes > MAX_QUEUED {
            return Err(io::Error::other(format!("fluent#appendBuffer: Buffer full, limit {limit}")));
        }
        waiting.bytes += event.bytes.len();
        waiting.events.push_back(event);
        drop(waiting);
        self.queue.changed.notify_one();
        Ok(())
    }

    fn flush(&mut self, _: &mut Patience) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, _: &mut Patience) -> io::Result<()> {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        // from now on the thread's time is limited
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // its panic would be a lost message
            let _ = thread.join();
        }
        Ok(())
    }
}
