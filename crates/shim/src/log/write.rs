//! Recording output: one `write` for each chunk that was read from the container.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::entry::Stream;
use super::error::LogError;
use super::file::RotatingFile;
use super::forward::Forward;
use super::frame::{self, Part};
use super::split::{Message, Splitter};
use super::{json, local};
use crate::protocol::LogRequest;

/// A container's log.
#[derive(Debug)]
pub struct LogWriter {
    /// `None` keeps nothing here.
    sink: Option<Sink>,
    /// Where output goes beside the file.
    forward: Option<Forward>,
    splitters: [Splitter; 2],
    lines: [Lines; 2],
}

/// What the parts of one stream's lines have in common.
#[derive(Debug, Default)]
struct Lines {
    /// When the line's first part was read, and what comes next.
    open: Option<(Now, Part)>,
    /// Lines in parts so far.
    count: u64,
}

#[derive(Debug)]
struct Sink {
    file: RotatingFile,
    format: Format,
    /// Messages that are not written yet.
    out: Vec<u8>,
    /// How each JSON line of this stream and moment ends.
    end: Vec<u8>,
    end_of: Option<(Stream, i64)>,
}

/// The attributes, ready to be copied.
#[derive(Debug)]
enum Format {
    Json(Vec<u8>),
    Local(Vec<u8>),
}

impl LogWriter {
    /// The log that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { sink: None, forward: None, splitters: Default::default(), lines: Default::default() }
    }

    /// Open the log; what a power loss has cut short is put right.
    ///
    /// # Errors
    /// An unknown driver; a file that can't be opened; a program that output is to be handed to and that is not ready.
    pub fn open(request: &LogRequest) -> Result<Self, LogError> {
        let sink = Sink::open(request)?;
        let forward = request.forward.as_ref().map(Forward::open).transpose()?;
        Ok(Self { sink, forward, ..Self::none() })
    }

    /// Record a chunk of output. All lines of a chunk carry the time at which it was read; the parts of a line carry
    /// that of its first, as in Docker.
    pub fn write(&mut self, stream: Stream, chunk: &[u8]) {
        let Self { sink, forward, splitters, lines } = self;
        if sink.is_none() && forward.is_none() {
            return;
        }
        let now = Now::new();
        let lines = &mut lines[stream.index()];
        splitters[stream.index()].feed(chunk, |message| record(sink, forward, stream, &message, &now, lines));
        self.flush();
    }

    /// A stream has ended: record its last line even without a newline.
    pub fn finish(&mut self, stream: Stream) {
        let Self { sink, forward, splitters, lines } = self;
        let now = Now::new();
        let lines = &mut lines[stream.index()];
        splitters[stream.index()].finish(|message| record(sink, forward, stream, &message, &now, lines));
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.flush();
        }
        self.flush_forward();
    }

    /// Nothing has come for a while: give memory back.
    pub fn rest(&mut self) {
        if let Some(sink) = &mut self.sink {
            (sink.out, sink.end, sink.end_of) = (Vec::new(), Vec::new(), None);
        }
        if let Some(forward) = &mut self.forward {
            forward.rest();
        }
    }

    /// Bytes in the current file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.sink.as_ref().map_or(0, |sink| sink.file.size())
    }

    /// A child process has been reaped.
    pub fn child_ended(&mut self, pid: sys::Pid) {
        if self.forward.as_mut().is_some_and(|forward| forward.child_ended(pid)) {
            return;
        }
        if let Some(sink) = &mut self.sink {
            sink.file.child_ended(pid);
        }
    }

    /// The container must not be read now: what it has written waits for the program that it is handed to.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.forward.as_ref().is_some_and(Forward::is_blocked)
    }

    /// Whether anything still waits to be handed on.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.forward.as_ref().is_some_and(Forward::has_pending)
    }

    /// The socket that [`Self::flush_forward`] writes to; another one after [`Self::wake`] has said so.
    #[must_use]
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.forward.as_ref()?.socket()
    }

    /// Hand on what the socket takes.
    pub fn flush_forward(&mut self) {
        if let Some(forward) = &mut self.forward {
            forward.flush();
        }
    }

    /// The container has ended: what still waits does so for a while only.
    pub fn end(&mut self) {
        if let Some(forward) = &mut self.forward {
            forward.finish();
        }
    }

    /// When [`Self::wake`] is to be called though nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.forward.as_ref()?.deadline()
    }

    /// Do what is due; whether there is a new socket.
    pub fn wake(&mut self, now: Instant) -> bool {
        self.forward.as_mut().is_some_and(|forward| forward.wake(now))
    }
}

/// One message into the file and to the program.
fn record(
    sink: &mut Option<Sink>,
    forward: &mut Option<Forward>,
    stream: Stream,
    message: &Message<'_>,
    now: &Now,
    lines: &mut Lines,
) {
    let part = lines.part(message, now);
    let opened = lines.open.as_ref().filter(|_| part.is_some()).map(|(opened, _)| opened);
    let now = opened.unwrap_or(now);
    if let Some(sink) = sink {
        sink.add(stream, message, part, now);
    }
    if let Some(forward) = forward {
        forward.add(&frame::Message { stream, nanos: now.nanos, part, line: message.line });
    }
    if part.is_some_and(|part| part.last) {
        lines.open = None;
    }
}

impl Lines {
    /// Which part of which line this is.
    fn part(&mut self, message: &Message<'_>, now: &Now) -> Option<Part> {
        if message.complete && !message.continued {
            return None;
        }
        if self.open.is_none() {
            self.count += 1;
            self.open = Some((now.clone(), Part { number: self.count, ordinal: 0, last: false }));
        }
        let (_, part) = self.open.as_mut()?;
        part.ordinal += 1;
        part.last = message.complete;
        Some(*part)
    }
}

/// One moment, and its text.
#[derive(Debug, Clone)]
struct Now {
    nanos: i64,
    text: String,
}

impl Now {
    fn new() -> Self {
        let time = Timestamp::now();
        Self { nanos: i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX), text: time.to_string() }
    }
}

impl Sink {
    fn open(request: &LogRequest) -> Result<Option<Self>, LogError> {
        let format = match request.driver.as_str() {
            "none" => return Ok(None),
            "json-file" => Format::Json(json::attributes(&request.attrs)),
            "local" => Format::Local(local::attributes(&request.attrs)),
            other => return Err(LogError::NoDriver(other.to_owned())),
        };
        let (path, size, files) = (Path::new(&request.path), request.max_size, request.max_file);
        let file = RotatingFile::open(path, size, files, request.compress)?;
        let mut sink = Self { file, format, out: Vec::new(), end: Vec::new(), end_of: None };
        sink.repair();
        Ok(Some(sink))
    }

    fn add(&mut self, stream: Stream, message: &Message<'_>, part: Option<Part>, now: &Now) {
        // as in Docker a file may exceed its size by one message, but never by two
        if self.file.is_full(self.out.len()) {
            self.flush();
            self.file.rotate();
        }
        match &self.format {
            Format::Json(attrs) => {
                if self.end_of != Some((stream, now.nanos)) {
                    self.end.clear();
                    json::circumstances(&mut self.end, stream, attrs, &now.text);
                    self.end_of = Some((stream, now.nanos));
                }
                json::write(&mut self.out, message, &self.end);
            }
            Format::Local(attrs) => local::write(&mut self.out, stream, message, part, attrs, now.nanos),
        }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.file.append(&self.out);
            self.out.clear();
        }
    }

    /// What was cut short must not spoil what follows it.
    fn repair(&mut self) {
        match self.format {
            Format::Json(_) => {
                if self.file.last_byte().is_some_and(|byte| byte != b'\n') {
                    self.file.append(b"\n");
                }
            }
            Format::Local(_) => {
                if let Ok(sound) = super::read::sound_length(self.file.file())
                    && sound < self.file.size()
                {
                    self.file.truncate(sound);
                }
            }
        }
    }
}
