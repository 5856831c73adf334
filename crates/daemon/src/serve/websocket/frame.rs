//! Frames of RFC 6455, section 5.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest payload of a control frame, in bytes (RFC 6455, 5.5).
const MAX_CONTROL: u64 = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The head of a frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) length: u64,
    mask: [u8; 4],
}

impl Header {
    /// Takes the mask off a part of the payload that starts at `offset`.
    pub(super) fn unmask(&self, part: &mut [u8], offset: u64) {
        for (index, byte) in part.iter_mut().enumerate() {
            *byte ^= self.mask[(offset as usize).wrapping_add(index) % 4];
        }
    }
}

/// Reads the head of a frame. Clients must mask; extensions were not agreed on.
pub(super) async fn read_header(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    let first = client.read_u8().await?;
    let second = client.read_u8().await?;
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        other => return Err(malformed(format!("unknown websocket opcode {other}"))),
    };
    if first & 0x70 != 0 || second & 0x80 == 0 {
        return Err(malformed("websocket frame with reserved bits, or unmasked"));
    }
    let length = match second & 0x7f {
        126 => u64::from(client.read_u16().await?),
        127 => client.read_u64().await?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    client.read_exact(&mut mask).await?;
    Ok(Header { opcode, length, mask })
}

/// Reads the payload of a control frame.
pub(super) async fn read_control(
    client: &mut (impl AsyncRead + Unpin),
    header: &Header,
) -> io::Result<Vec<u8>> {
    if header.length > MAX_CONTROL {
        return Err(malformed("websocket control frame is too long"));
    }
    let mut payload = vec![0; header.length as usize];
    client.read_exact(&mut payload).await?;
    header.unmask(&mut payload, 0);
    Ok(payload)
}

/// Writes a whole frame.
pub(super) async fn write(
    client: &mut (impl AsyncWrite + Unpin),
    opcode: Opcode,
    payload: &[u8],
) -> io::Result<()> {
    let mut head = vec![0x80 | opcode as u8];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => head.push(length),
        (_, Ok(length)) => {
            head.push(126);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((payload.len() as u64).to_be_bytes());
        }
    }
    client.write_all(&head).await?;
    client.write_all(payload).await
}

fn malformed(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_masked_frame_is_read() {
        // RFC 6455, 5.7: a masked "Hello".
        let mut bytes: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let header = read_header(&mut bytes).await.unwrap();
        assert_eq!((header.opcode, header.length), (Opcode::Text, 5));
        let mut payload = bytes.to_vec();
        header.unmask(&mut payload, 0);
        assert_eq!(payload, b"Hello");
    }

    #[tokio::test]
    async fn an_unmasked_frame_is_refused() {
        let mut bytes: &[u8] = &[0x81, 0x05];
        assert!(read_header(&mut bytes).await.is_err());
    }

    #[tokio::test]
    async fn lengths_are_written_in_their_shortest_form() {
        for (length, head) in [(125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let mut out = Vec::new();
            write(&mut out, Opcode::Binary, &vec![0; length]).await.unwrap();
            assert_eq!(out.len(), head + length);
        }
    }
}
