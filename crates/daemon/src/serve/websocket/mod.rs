//! Attach over a websocket (RFC 6455): the server's side of the handshake, and bytes in frames.

mod frame;

use std::io;

use base64::Engine as _;
use bytes::Bytes;
use engine::container::{Attached, Chunk};
use futures_util::StreamExt as _;
use hyper::header::{SEC_WEBSOCKET_KEY, UPGRADE};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::head::Head;
use super::transport::Transport;
use frame::Opcode;

/// What the key is hashed with (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Control frames that wait to be answered.
const MAX_REPLIES: usize = 8;
/// Bytes of a frame's payload moved at once.
const STEP: usize = 16 << 10;

/// The `Sec-WebSocket-Accept` of a request for a websocket; `None` for any other.
pub(super) fn accept(head: &Head) -> Option<String> {
    let key = head.headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    head.lists(&UPGRADE, "websocket").then(|| accept_of(key))
}

fn accept_of(key: &str) -> String {
    let digest = Sha1::new().chain_update(key.trim()).chain_update(GUID).finalize();
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// Moves bytes until the container's output ends, or the client says goodbye or is gone.
pub(super) async fn run(io: Box<dyn Transport>, early: Bytes, attached: Attached) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(io);
    let mut client = (&early[..]).chain(read);
    let Attached { input, output, .. } = attached;
    let (replies, mut to_reply) = mpsc::channel(MAX_REPLIES);
    tokio::select! {
        outcome = send(output, &mut to_reply, &mut write) => outcome?,
        _ = receive(&mut client, input, replies) => {}
    }
    // The client may be gone already.
    let _ = frame::write(&mut write, Opcode::Close, &1000_u16.to_be_bytes()).await;
    write.shutdown().await
}

async fn send(
    mut output: engine::Stream<Chunk>,
    replies: &mut mpsc::Receiver<Vec<u8>>,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        tokio::select! {
            chunk = output.next() => match chunk {
                Some(Ok(chunk)) => frame::write(client, Opcode::Binary, &chunk.data).await?,
                Some(Err(_)) | None => return Ok(()),
            },
            Some(payload) = replies.recv() => frame::write(client, Opcode::Pong, &payload).await?,
        }
        client.flush().await?;
    }
}

/// Reads frames until the client closes; data goes to the container, pings to who answers them.
async fn receive(
    client: &mut (impl AsyncRead + Unpin),
    mut input: Option<engine::Writer>,
    replies: mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let header = frame::read_header(client).await?;
        match header.opcode {
            Opcode::Close => return Ok(()),
            Opcode::Ping => {
                let payload = frame::read_control(client, &header).await?;
                // Whoever sends pings faster than they are answered loses some.
                let _ = replies.try_send(payload);
            }
            Opcode::Pong => drop(frame::read_control(client, &header).await?),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                data(client, &header, input.as_mut()).await?
            }
        }
    }
}

async fn data(
    client: &mut (impl AsyncRead + Unpin),
    header: &frame::Header,
    mut input: Option<&mut engine::Writer>,
) -> io::Result<()> {
    let mut space = vec![0; STEP];
    let mut done = 0_u64;
    while done < header.length {
        let step = usize::try_from(header.length - done).unwrap_or(STEP).min(STEP);
        client.read_exact(&mut space[..step]).await?;
        header.unmask(&mut space[..step], done);
        if let Some(input) = &mut input {
            input.write_all(&space[..step]).await?;
            input.flush().await?;
        }
        done += step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshake_of_the_rfc() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
