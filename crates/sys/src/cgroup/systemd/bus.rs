//! A connection to the system bus and systemd's manager behind it, or to a manager itself
//! (`org.freedesktop.systemd1(5)`).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::{Error, Result};
use super::wire::{self, Body, Kind, Message, PREFIX, Target};

/// How long an answer, and the end of a job, is waited for.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest line while the connection is made (`OK` and 32 hex digits).
const LINE_MAX: usize = 256;
/// Where the bus is when the environment doesn't say.
const SOCKET: &str = "/run/dbus/system_bus_socket";

const BUS: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};
/// systemd's manager as an object that has properties.
const PROPERTIES: Target<'_> = Target { interface: "org.freedesktop.DBus.Properties", ..MANAGER };
const MANAGER: Target<'_> = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// A connection that has said hello and hears of jobs that end.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Jobs that ended before anyone asked: path and result.
    ended: Vec<(String, String)>,
}

/// Where the system bus listens: `DBUS_SYSTEM_BUS_ADDRESS`, else the usual place.
pub(super) fn address() -> PathBuf {
    let named = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
    let path = named.split(';').find_map(|one| one.strip_prefix("unix:path="));
    path.map_or(SOCKET, |path| path.split(',').next().unwrap_or(path)).into()
}

impl Bus {
    /// Connects, proves who we are, and asks to hear of jobs.
    pub(super) fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(|err| {
            let hint = "the systemd cgroup driver needs a running systemd and system bus; the cgroupfs driver does not";
            Error::Systemd(format!("cannot reach the system bus at {}: {err}; {hint}", path.display()))
        })?;
        let mut bus = Self::over(stream, rustix::process::geteuid().as_raw())?;
        bus.call(&BUS, "Hello", &Body::new())?;
        let rule = "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
                    member='JobRemoved'";
        bus.call(&BUS, "AddMatch", &Body::new().string(rule))?;
        bus.call(&MANAGER, "Subscribe", &Body::new())?;
        Ok(bus)
    }

    /// Connects to a manager itself. It says hello to nobody, and tells of jobs unasked. `uid` is our user on the host.
    pub(super) fn direct(path: &Path, uid: u32) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(|err| {
            Error::Systemd(format!("cannot reach the user's systemd at {}: {err}", path.display()))
        })?;
        Self::over(stream, uid)
    }

    fn over(stream: UnixStream, uid: u32) -> Result<Self> {
        stream.set_write_timeout(Some(ANSWER)).map_err(|err| lost(&err))?;
        let mut bus = Self { stream, serial: 0, ended: Vec::new() };
        bus.authenticate(uid)?;
        Ok(bus)
    }

    /// Calls a method of systemd's manager that starts a job, and waits for the job's end. The answer is its
    /// result: `done`, `failed`, `canceled`…
    pub(super) fn job(&mut self, member: &str, body: &Body) -> Result<String> {
        let answer = self.call(&MANAGER, member, body)?;
        let Some(job) = answer.text(0).map(str::to_owned) else {
            return Err(Error::Systemd(format!("{member}: an answer without a job")));
        };
        let end = Instant::now() + ANSWER;
        loop {
            if let Some(at) = self.ended.iter().position(|(path, _)| *path == job) {
                return Ok(self.ended.swap_remove(at).1);
            }
            let message = self.receive(end)?;
            self.note(&message);
        }
    }

    /// A property of systemd's manager that is text.
    pub(super) fn property(&mut self, name: &str) -> Result<String> {
        self.get(&PROPERTIES, MANAGER.interface, name)
    }

    /// A property of a unit that is text.
    pub(super) fn property_of(&mut self, unit: &str, interface: &str, name: &str) -> Result<String> {
        let path = format!("/org/freedesktop/systemd1/unit/{}", label(unit));
        self.get(&Target { path: &path, ..PROPERTIES }, interface, name)
    }

    fn get(&mut self, object: &Target<'_>, interface: &str, name: &str) -> Result<String> {
        let answer = self.call(object, "Get", &Body::new().string(interface).string(name))?;
        let text = answer.text(0).map(str::to_owned);
        text.ok_or_else(|| Error::Systemd(format!("{name}: an answer without text")))
    }

    /// Calls a method of systemd's manager that answers nothing.
    pub(super) fn ask(&mut self, member: &str, body: &Body) -> Result<()> {
        self.call(&MANAGER, member, body).map(drop)
    }

    fn call(&mut self, target: &Target<'_>, member: &str, body: &Body) -> Result<Message> {
        self.serial += 1;
        let bytes = wire::call(self.serial, target, member, body);
        self.stream.write_all(&bytes).map_err(|err| lost(&err))?;
        let end = Instant::now() + ANSWER;
        loop {
            let message = self.receive(end)?;
            if message.reply_to != Some(self.serial) {
                self.note(&message);
                continue;
            }
            if message.kind == Kind::Error {
                let name = message.error.as_deref().unwrap_or("refused");
                let text = message.text(0).unwrap_or_default();
                return Err(Error::Systemd(format!("{member}: {name}: {text}")));
            }
            return Ok(message);
        }
    }

    /// Keeps the news of a job's end: job number, path, unit, result.
    fn note(&mut self, message: &Message) {
        if message.kind == Kind::Signal
            && message.member.as_deref() == Some("JobRemoved")
            && let (Some(job), Some(result)) = (message.text(1), message.text(3))
        {
            self.ended.push((job.to_owned(), result.to_owned()));
        }
    }

    fn receive(&mut self, end: Instant) -> Result<Message> {
        let mut prefix = [0; PREFIX];
        self.read(&mut prefix, end)?;
        let broken = || Error::Systemd("the bus sent something that is no message".to_owned());
        let total = wire::total(&prefix).ok_or_else(broken)?;
        let mut bytes = prefix.to_vec();
        bytes.resize(total, 0);
        self.read(&mut bytes[PREFIX..], end)?;
        wire::parse(&bytes).ok_or_else(broken)
    }

    fn read(&mut self, bytes: &mut [u8], end: Instant) -> Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Systemd(format!("no answer within {} s", ANSWER.as_secs())));
        }
        self.stream.set_read_timeout(Some(left)).map_err(|err| lost(&err))?;
        self.stream.read_exact(bytes).map_err(|err| lost(&err))
    }

    /// The other end knows our user from the socket; the line only has to agree. All is said at once: of systemd itself,
    /// what comes together with the word that ends this is not read before something else comes.
    fn authenticate(&mut self, uid: u32) -> Result<()> {
        let uid = uid.to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        let words = format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n");
        self.stream.write_all(words.as_bytes()).map_err(|err| lost(&err))?;
        let line = self.line()?;
        if !line.starts_with("OK ") {
            return Err(Error::Systemd(format!("the bus refuses us: {line}")));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let end = Instant::now() + ANSWER;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < LINE_MAX {
            let mut byte = [0];
            self.read(&mut byte, end)?;
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A unit's name as part of an object's path: what is no letter or digit as `_` and two hex digits.
fn label(unit: &str) -> String {
    let escape = |(at, byte): (usize, u8)| match byte {
        b'0'..=b'9' if at > 0 => char::from(byte).to_string(),
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        other => format!("_{other:02x}"),
    };
    unit.bytes().enumerate().map(escape).collect()
}

fn lost(err: &std::io::Error) -> Error {
    Error::Systemd(format!("the connection to the bus failed: {err}"))
}

#[cfg(test)]
mod tests;
