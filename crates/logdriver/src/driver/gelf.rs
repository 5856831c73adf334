//! `gelf`: GELF 1.1, over UDP compressed and in chunks, over TCP each message before a zero byte.
//!
//! As in Docker a message over TCP is tried again on new connections, so often and with such pauses as the user allows.

use std::io::{self, Write as _};

use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde::Serialize;
use shim::log::frame::Message;

use super::{BATCH, Driver, severity};
use crate::error::words;
use crate::forward::connection::{Connection, connect};
use crate::forward::patience::{Patience, is_given_up};
use crate::settings::{self, Address, Compression};

/// Largest datagram, and what of it the head of a chunk takes.
const CHUNK: usize = 1420;
const CHUNK_HEAD: usize = 12;
const MAX_CHUNKS: usize = 128;
/// The level when the user leaves it to the algorithm.
const DEFAULT_LEVEL: u32 = 6;

pub(super) struct Gelf {
    settings: settings::Gelf,
    host: String,
    connection: Option<Connection>,
    /// Whole messages for TCP.
    out: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    version: &'a str,
    host: &'a str,
    short_message: &'a str,
    timestamp: f64,
    level: u8,
    #[serde(flatten)]
    extra: &'a std::collections::BTreeMap<String, String>,
}

impl Gelf {
    pub(super) fn open(settings: &settings::Gelf, patience: &mut Patience) -> io::Result<Self> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let connection = connect(&settings.address, None, patience, None).map_err(|error| {
            if is_given_up(&error) {
                return error;
            }
            io::Error::other(format!(
                "gelf: cannot connect to GELF endpoint: {} {}",
                place(&settings.address),
                words(&error)
            ))
        })?;
        Ok(Self { settings: settings.clone(), host, connection: Some(connection), out: Vec::new() })
    }

    fn body(&self, message: &Message<'_>) -> io::Result<Vec<u8>> {
        let body = Body {
            version: "1.1",
            host: &self.host,
            short_message: &String::from_utf8_lossy(message.line),
            // whole milliseconds
            timestamp: message.nanos.div_euclid(1_000_000) as f64 / 1000.0,
            level: severity(message.stream),
            extra: &self.settings.extra,
        };
        Ok(serde_json::to_vec(&body)?)
    }

    fn compressed(&self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        let level = Level::new(u32::try_from(self.settings.level).unwrap_or(DEFAULT_LEVEL));
        match self.settings.compression {
            Compression::None => Ok(body),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(&body)?;
                encoder.finish()
            }
            Compression::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&body)?;
                encoder.finish()
            }
        }
    }

    fn send_datagrams(&mut self, bytes: &[u8], patience: &mut Patience) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        for datagram in datagrams(bytes)? {
            let sent = match connection.send(&datagram, patience, None) {
                // what an earlier datagram has come back with is reported by the next one, which is not sent
                Err(error) if !is_given_up(&error) => connection.send(&datagram, patience, None),
                other => other,
            };
            sent?;
        }
        Ok(())
    }

    fn send_stream(&mut self, bytes: &[u8], patience: &mut Patience) -> io::Result<()> {
        for tried in 0..=self.settings.max_reconnect {
            if let Some(connection) = &mut self.connection {
                match connection.send(bytes, patience, None) {
                    Err(error) if !is_given_up(&error) => self.connection = None,
                    other => return other,
                }
            }
            if tried < self.settings.max_reconnect {
                patience.wait(None, Some(self.settings.reconnect_delay))?;
                match connect(&self.settings.address, None, patience, None) {
                    Ok(connection) => self.connection = Some(connection),
                    Err(error) if is_given_up(&error) => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Err(io::Error::other(
            "gelf: cannot send GELF message: Maximum reconnection attempts was reached; giving up",
        ))
    }
}

fn place(address: &Address) -> String {
    match address {
        Address::Tcp(host, port) | Address::Udp(host, port) | Address::Tls(host, port) => {
            format!("{host}:{port}")
        }
        Address::Unix(path) | Address::Unixgram(path) => path.display().to_string(),
        Address::LocalSyslog => String::new(),
    }
}

/// One datagram, or the message in chunks.
fn datagrams(bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    if bytes.len() <= CHUNK {
        return Ok(vec![bytes.to_vec()]);
    }
    let chunks = bytes.chunks(CHUNK - CHUNK_HEAD);
    let count = chunks.len();
    if count > MAX_CHUNKS {
        return Err(io::Error::other(format!(
            "gelf: cannot send GELF message: msg too large, would need {count} chunks"
        )));
    }
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let datagram = |(number, chunk): (usize, &[u8])| {
        let mut datagram = Vec::with_capacity(CHUNK_HEAD + chunk.len());
        datagram.extend_from_slice(&[0x1e, 0x0f]);
        datagram.extend_from_slice(&id);
        // both are at most 128
        datagram.extend_from_slice(&[number as u8, count as u8]);
        datagram.extend_from_slice(chunk);
        datagram
    };
    Ok(chunks.enumerate().map(datagram).collect())
}

impl Driver for Gelf {
    fn log(&mut self, message: &Message<'_>, patience: &mut Patience) -> io::Result<()> {
        let body = self.body(message)?;
        if matches!(self.settings.address, Address::Udp(..)) {
            let bytes = self.compressed(body)?;
            return self.send_datagrams(&bytes, patience);
        }
        self.out.extend_from_slice(&body);
        self.out.push(0);
        if self.out.len() < BATCH { Ok(()) } else { self.flush(patience) }
    }

    fn flush(&mut self, patience: &mut Patience) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        self.send_stream(&out, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks() {
        assert_eq!(datagrams(&[7; CHUNK]).unwrap(), [vec![7; CHUNK]]);
        let message: Vec<u8> = (0..3 * CHUNK).map(|n| n as u8).collect();
        let chunks = datagrams(&message).unwrap();
        assert_eq!(chunks.len(), 4);
        let mut whole = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            assert!(chunk.len() <= CHUNK);
            assert_eq!(chunk[..2], [0x1e, 0x0f]);
            assert_eq!((chunk[2..10].to_vec(), chunk[11]), (chunks[0][2..10].to_vec(), 4));
            assert_eq!(usize::from(chunk[10]), number);
            whole.extend_from_slice(&chunk[CHUNK_HEAD..]);
        }
        assert_eq!(whole, message);
        assert!(datagrams(&[0; 200_000]).is_err());
    }
}
