//! The network block device protocol, as much of it as qemu asks for: fixed newstyle negotiation without TLS, simple
//! replies (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md).

use std::io::{self, Read, Write};

const HELLO: u64 = 0x4e42_444d_4147_4943; // NBDMAGIC
const OPTION: u64 = 0x4948_4156_454f_5054; // IHAVEOPT
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Handshake flags: fixed newstyle; no 124 zeroes.
const FIXED: u16 = 1;
const NO_ZEROES: u16 = 2;
/// Transmission flags: they count; FLUSH, FUA and WRITE_ZEROES are there.
const FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 6;

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const INFO: u32 = 6;
const GO: u32 = 7;
const ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;

/// Bytes of an option, and of a request.
const MOST_OPTION: u32 = 64 * 1024;
pub(super) const MOST: u32 = 32 << 20;

/// What a client wants of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    Write,
    Disconnect,
    Flush,
    WriteZeroes,
    Unknown,
}

/// One request; a write's bytes follow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) command: Command,
    /// Forced unit access: it counts when it is answered.
    pub(super) through: bool,
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

fn number<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Negotiates; false if the client wants no more than to know.
pub(super) fn negotiate(stream: &mut (impl Read + Write), size: u64) -> io::Result<bool> {
    stream.write_all(&HELLO.to_be_bytes())?;
    stream.write_all(&OPTION.to_be_bytes())?;
    stream.write_all(&(FIXED | NO_ZEROES).to_be_bytes())?;
    let client = u32::from_be_bytes(number(stream)?);
    loop {
        if u64::from_be_bytes(number(stream)?) != OPTION {
            return Err(invalid("no option"));
        }
        let option = u32::from_be_bytes(number(stream)?);
        let length = u32::from_be_bytes(number(stream)?);
        if length > MOST_OPTION {
            return Err(invalid("an option that is too long"));
        }
        io::copy(&mut stream.take(u64::from(length)), &mut io::sink())?;
        match option {
            EXPORT_NAME => {
                stream.write_all(&size.to_be_bytes())?;
                stream.write_all(&FLAGS.to_be_bytes())?;
                if client & u32::from(NO_ZEROES) == 0 {
                    stream.write_all(&[0; 124])?;
                }
                return Ok(true);
            }
            INFO | GO => {
                // NBD_INFO_EXPORT
                let mut info = vec![0, 0];
                info.extend_from_slice(&size.to_be_bytes());
                info.extend_from_slice(&FLAGS.to_be_bytes());
                answer(stream, option, REPLY_INFO, &info)?;
                answer(stream, option, ACK, &[])?;
                if option == GO {
                    return Ok(true);
                }
            }
            ABORT => {
                answer(stream, option, ACK, &[])?;
                return Ok(false);
            }
            _ => answer(stream, option, UNSUPPORTED, &[])?,
        }
    }
}

fn answer(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut bytes = OPTION_REPLY.to_be_bytes().to_vec();
    bytes.extend_from_slice(&option.to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
    bytes.extend_from_slice(data);
    stream.write_all(&bytes)
}

/// The next request.
pub(super) fn request(stream: &mut impl Read) -> io::Result<Request> {
    if u32::from_be_bytes(number(stream)?) != REQUEST {
        return Err(invalid("no request"));
    }
    let flags = u16::from_be_bytes(number(stream)?);
    let command = match u16::from_be_bytes(number(stream)?) {
        0 => Command::Read,
        1 => Command::Write,
        2 => Command::Disconnect,
        3 => Command::Flush,
        6 => Command::WriteZeroes,
        _ => Command::Unknown,
    };
    let cookie = u64::from_be_bytes(number(stream)?);
    let offset = u64::from_be_bytes(number(stream)?);
    let length = u32::from_be_bytes(number(stream)?);
    Ok(Request { command, through: flags & 1 != 0, cookie, offset, length })
}

/// Answers a request; `error` as in errno(3), 0 is none. A read's bytes follow.
pub(super) fn reply(stream: &mut impl Write, cookie: u64, error: u32) -> io::Result<()> {
    let mut bytes = REPLY.to_be_bytes().to_vec();
    bytes.extend_from_slice(&error.to_be_bytes());
    bytes.extend_from_slice(&cookie.to_be_bytes());
    stream.write_all(&bytes)
}
