//! `journald`: the journal's native protocol, one datagram an entry; a larger one goes as a sealed memory file
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use jiff::Timestamp;
use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use shim::log::frame::Message;

use super::{Driver, PartIds, random_hex, severity};
use crate::forward::patience::Patience;
use crate::settings;

pub(super) struct Journald {
    settings: settings::Journald,
    socket: OwnedFd,
    /// The fields that each entry has.
    fields: Vec<u8>,
    ids: PartIds,
    /// Names this run of the driver; its entries are numbered.
    epoch: String,
    ordinal: u64,
}

impl Journald {
    pub(super) fn open(settings: &settings::Journald) -> io::Result<Self> {
        let disabled = |_: io::Error| io::Error::other("journald is not enabled on this host");
        let socket = connect(settings).map_err(disabled)?;
        let mut fields = Vec::new();
        for (name, value) in &settings.fields {
            field(&mut fields, name, value.as_bytes());
        }
        let (ids, epoch) = (PartIds::new()?, random_hex(32)?);
        Ok(Self { settings: settings.clone(), socket, fields, ids, epoch, ordinal: 0 })
    }

    fn entry(&mut self, message: &Message<'_>) -> Vec<u8> {
        self.ordinal += 1;
        let mut out = Vec::with_capacity(self.fields.len() + message.line.len() + 256);
        let mut add = |name, value: &str| field(&mut out, name, value.as_bytes());
        add("PRIORITY", &severity(message.stream).to_string());
        add("CONTAINER_LOG_EPOCH", &self.epoch);
        add("CONTAINER_LOG_ORDINAL", &self.ordinal.to_string());
        add(
            "SYSLOG_TIMESTAMP",
            &Timestamp::from_nanosecond(message.nanos.into()).unwrap_or_default().to_string(),
        );
        if let Some(part) = message.part {
            add("CONTAINER_PARTIAL_ID", &self.ids.of(part));
            add("CONTAINER_PARTIAL_ORDINAL", &part.ordinal.to_string());
            add("CONTAINER_PARTIAL_LAST", &part.last.to_string());
            if !part.last {
                add("CONTAINER_PARTIAL_MESSAGE", "true");
            }
        }
        field(&mut out, "MESSAGE", message.line);
        out.extend_from_slice(&self.fields);
        out
    }

    fn send(&self, entry: &[u8], patience: &mut Patience) -> io::Result<()> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match rustix::net::send(&self.socket, entry, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    patience.wait(Some((self.socket.as_fd(), PollFlags::OUT)), None)?;
                }
                Err(Errno::MSGSIZE | Errno::NOBUFS) => return self.send_file(entry),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send_file(&self, entry: &[u8]) -> io::Result<()> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create(c"journal-entry", flags)?;
        let mut file = std::fs::File::from(memory);
        file.write_all(entry)?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [file.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        rustix::net::sendmsg(&self.socket, &[], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

fn connect(settings: &settings::Journald) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(&settings.socket)?)?;
    Ok(socket)
}

/// A value that holds a newline has its length before it.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

impl Driver for Journald {
    fn log(&mut self, message: &Message<'_>, patience: &mut Patience) -> io::Result<()> {
        let entry = self.entry(message);
        match self.send(&entry, patience) {
            // the journal was started anew
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotConnected) =>
            {
                self.socket = connect(&self.settings)?;
                self.send(&entry, patience)
            }
            other => other,
        }
    }

    fn flush(&mut self, _: &mut Patience) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_needs_a_length() {
        let mut out = Vec::new();
        field(&mut out, "A", b"b");
        field(&mut out, "C", b"d\ne");
        assert_eq!(out, b"A=b\nC\n\x03\0\0\0\0\0\0\0d\ne\n");
    }
}
