//! Takes the daemon's stream apart: frames of standard output and standard error.

use api::stdcopy::{HEADER, Stream};

use crate::error::{Error, Result};
use crate::out::Out;

/// Where what arrives is written to.
#[derive(Debug)]
pub(crate) enum Sink {
    /// A terminal's stream: everything is output.
    Raw,
    /// Frames; the state of the one that is being read.
    Framed(Frame),
}

/// A frame on its way.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    header: Vec<u8>,
    stream: Option<Stream>,
    left: usize,
    /// An error text of the daemon, collected.
    complaint: Vec<u8>,
}

/// The longest error text that is kept.
const COMPLAINT_LIMIT: usize = 64 << 10;

impl Sink {
    /// For a container with or without a terminal.
    pub(crate) fn new(tty: bool) -> Self {
        if tty { Self::Raw } else { Self::Framed(Frame::default()) }
    }

    /// Writes what arrived.
    pub(crate) fn write(&mut self, out: &Out, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Raw => out.now(bytes),
            Self::Framed(frame) => frame.write(out, bytes),
        }
    }

    /// The daemon's own complaint, if it sent one.
    pub(crate) fn complaint(&self) -> Option<String> {
        match self {
            Self::Framed(frame) if !frame.complaint.is_empty() => {
                Some(String::from_utf8_lossy(&frame.complaint).trim_end().to_owned())
            }
            _ => None,
        }
    }
}

impl Frame {
    fn write(&mut self, out: &Out, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let missing = (HEADER - self.header.len()).min(bytes.len());
                self.header.extend_from_slice(&bytes[..missing]);
                bytes = &bytes[missing..];
                let Ok(header) = <[u8; HEADER]>::try_from(self.header.as_slice()) else { return Ok(()) };
                self.header.clear();
                let (stream, length) = Stream::parse(header)
                    .ok_or_else(|| Error::said(format!("Unrecognized input header: {}", header[0])))?;
                self.stream = Some(stream);
                self.left = length as usize;
                continue;
            }
            let (now, later) = bytes.split_at(self.left.min(bytes.len()));
            match self.stream {
                Some(Stream::Stdout | Stream::Stdin) => out.now(now)?,
                Some(Stream::Stderr) => out.error_bytes(now),
                _ => {
                    let room = COMPLAINT_LIMIT.saturating_sub(self.complaint.len());
                    self.complaint.extend_from_slice(&now[..now.len().min(room)]);
                }
            }
            self.left -= now.len();
            bytes = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_may_arrive_byte_by_byte() {
        let mut message = Stream::System.header(3).to_vec();
        message.extend_from_slice(b"bad");
        let mut sink = Sink::new(false);
        let out = Out::default();
        for byte in &message {
            sink.write(&out, &[*byte]).unwrap();
        }
        assert_eq!(sink.complaint().as_deref(), Some("bad"));
        assert!(sink.write(&out, &[9, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
