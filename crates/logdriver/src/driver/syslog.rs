//! `syslog`: RFC 3164 and RFC 5424 lines; over TLS framed as RFC 5425 says.
//!
//! As in Docker a message whose server is away is tried once more on a new connection, and then lost.

use std::io::{self, Write as _};

use shim::log::frame::Message;

use super::local_time::{LocalTime, rfc3339, stamp};
use super::{BATCH, Driver, severity};
use crate::forward::connection::{Connection, connect};
use crate::forward::patience::{Patience, is_given_up};
use crate::settings::{self, Address, SyslogFormat};

pub(super) struct Syslog {
    settings: settings::Syslog,
    host: String,
    time: LocalTime,
    connection: Option<Connection>,
    /// Whole messages for a stream.
    out: Vec<u8>,
}

impl Syslog {
    pub(super) fn open(settings: &settings::Syslog, patience: &mut Patience) -> io::Result<Self> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (settings, time) = (settings.clone(), LocalTime::new());
        let mut syslog = Self { settings, host, time, connection: None, out: Vec::new() };
        syslog.connected(patience)?;
        Ok(syslog)
    }

    fn connected(&mut self, patience: &mut Patience) -> io::Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let address = &self.settings.address;
                let tls = matches!(address, Address::Tls(..)).then_some(&self.settings.tls);
                connect(address, tls, patience, None)?
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn line(&self, message: &Message<'_>) -> Vec<u8> {
        let priority = self.settings.facility << 3 | severity(message.stream);
        let (time, tag, host) = (self.time.at(message.nanos), &self.settings.tag, &self.host);
        let pid = std::process::id();
        let format = match self.settings.address {
            Address::LocalSyslog => SyslogFormat::Local,
            _ => self.settings.format,
        };
        let head = match format {
            SyslogFormat::Local => format!("<{priority}>{} {tag}[{pid}]: ", stamp(&time)),
            SyslogFormat::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: ", stamp(&time)),
            SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424micro => {
                let time = rfc3339(&time, format == SyslogFormat::Rfc5424micro);
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
        };
        let length = head.len() + message.line.len() + 1;
        let mut line = Vec::with_capacity(length + 8);
        let framed = matches!(format, SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424micro)
            && matches!(self.settings.address, Address::Tls(..));
        if framed {
            // writing into memory does not fail
            let _ = write!(line, "{length} ");
        }
        line.extend_from_slice(head.as_bytes());
        line.extend_from_slice(message.line);
        line.push(b'\n');
        line
    }

    fn send(&mut self, bytes: &[u8], patience: &mut Patience) -> io::Result<()> {
        let first = self.connected(patience).and_then(|connection| connection.send(bytes, patience, None));
        match first {
            Err(error) if !is_given_up(&error) => {
                self.connection = None;
                let second =
                    self.connected(patience).and_then(|connection| connection.send(bytes, patience, None));
                if second.is_err() {
                    self.connection = None;
                }
                second
            }
            other => other,
        }
    }
}

impl Driver for Syslog {
    fn log(&mut self, message: &Message<'_>, patience: &mut Patience) -> io::Result<()> {
        let line = self.line(message);
        if self.connected(patience)?.is_datagram() {
            return self.send(&line, patience);
        }
        self.out.extend_from_slice(&line);
        if self.out.len() < BATCH { Ok(()) } else { self.flush(patience) }
    }

    fn flush(&mut self, patience: &mut Patience) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        self.send(&out, patience)
    }

    fn close(&mut self, patience: &mut Patience) -> io::Result<()> {
        self.flush(patience)?;
        self.connection.take().map_or(Ok(()), |connection| connection.close(patience))
    }
}
