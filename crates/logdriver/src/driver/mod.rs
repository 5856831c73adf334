//! One file a driver: how a message looks on the wire, and what becomes of it when its server is away.

mod fluentd;
mod gelf;
mod journald;
mod local_time;
mod msgpack;
mod syslog;

use std::io;

use shim::log::Stream;
use shim::log::frame::{Message, Part};

use crate::forward::patience::Patience;
use crate::settings::Settings;

/// Bytes that are collected before they are sent though more messages are at hand.
const BATCH: usize = 64 * 1024;

/// Sends messages. What waits, waits through [`Patience`].
pub(crate) trait Driver {
    /// Send one message, now or with the next [`Self::flush`].
    ///
    /// # Errors
    /// It is lost.
    fn log(&mut self, message: &Message<'_>, patience: &mut Patience) -> io::Result<()>;

    /// Send what was collected.
    ///
    /// # Errors
    /// It is lost.
    fn flush(&mut self, patience: &mut Patience) -> io::Result<()>;

    /// There are no more messages.
    ///
    /// # Errors
    /// Some were lost.
    fn close(&mut self, patience: &mut Patience) -> io::Result<()> {
        self.flush(patience)
    }
}

/// The driver, connected where Docker's is.
///
/// # Errors
/// The container can't start with it; Docker's sentence.
pub(crate) fn open(settings: &Settings, patience: &mut Patience) -> io::Result<Box<dyn Driver>> {
    Ok(match settings {
        Settings::Syslog(settings) => Box::new(syslog::Syslog::open(settings, patience)?),
        Settings::Fluentd(settings) => fluentd::open(settings, patience)?,
        Settings::Gelf(settings) => Box::new(gelf::Gelf::open(settings, patience)?),
        Settings::Journald(settings) => Box::new(journald::Journald::open(settings)?),
    })
}

/// syslog(3)'s severities of the two streams: err and info.
fn severity(stream: Stream) -> u8 {
    match stream {
        Stream::Stderr => 3,
        Stream::Stdout => 6,
    }
}

/// Random hex digits, two a byte.
fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hex::encode(random))
}

/// Names lines in parts: 64 hex digits, as in Docker.
struct PartIds(String);

impl PartIds {
    fn new() -> io::Result<Self> {
        random_hex(24).map(Self)
    }

    fn of(&self, part: Part) -> String {
        format!("{}{:016x}", self.0, part.number)
    }
}
