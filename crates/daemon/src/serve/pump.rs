//! Bytes between an attached client and a container.

use std::io;

use api::stdcopy;
use bytes::{Buf, Bytes};
use engine::container::{Attached, Chunk, Source};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _};

use super::hijack::Framing;
use super::transport::Transport;

/// Moves bytes until the container's output ends or the client is gone.
///
/// Output waits until the client has read the answer's head: some read it through a buffer that they throw
/// away with all that came in behind (the Python SDK does), and a process of ours can be that quick.
pub(super) async fn run(
    io: Box<dyn Transport>,
    early: Bytes,
    attached: Attached,
    framing: Framing,
) -> io::Result<()> {
    let (gone, read_head) = (io.hangup()?, io.read_by_peer()?);
    let (read, mut write) = tokio::io::split(io);
    let mut client = AsyncReadExt::chain(&early[..], read);
    let Attached { input, output, .. } = attached;
    let outcome = tokio::select! {
        outcome = async { read_head.await; send(output, &mut write, framing).await } => outcome,
        () = async { receive(&mut client, input).await; gone.await } => return Ok(()),
    };
    outcome?;
    write.shutdown().await?;
    discard(&mut client);
    Ok(())
}

/// The client's bytes to the container's standard input, and its half-close too.
async fn receive(client: &mut (impl AsyncRead + Unpin), input: Option<engine::Writer>) {
    if let Some(mut input) = input {
        // A container that has closed its input is no failure: the client's further bytes go nowhere.
        let copied = tokio::io::copy(client, &mut input).await;
        let closed = input.shutdown().await;
        if copied.is_ok() && closed.is_ok() {
            return;
        }
    }
    let _ = tokio::io::copy(client, &mut tokio::io::sink()).await;
}

async fn send(
    mut output: engine::Stream<Chunk>,
    client: &mut (impl AsyncWrite + Unpin),
    framing: Framing,
) -> io::Result<()> {
    while let Some(chunk) = output.next().await {
        match chunk {
            Ok(chunk) => send_chunk(client, framing, stream_of(chunk.source), &chunk.data).await?,
            Err(error) => {
                if framing == Framing::Multiplexed {
                    send_chunk(client, framing, stdcopy::Stream::System, error.to_string().as_bytes())
                        .await?;
                }
                return Ok(());
            }
        }
    }
    client.flush().await
}

async fn send_chunk(
    client: &mut (impl AsyncWrite + Unpin),
    framing: Framing,
    stream: stdcopy::Stream,
    data: &[u8],
) -> io::Result<()> {
    if framing == Framing::Raw {
        return client.write_all(data).await;
    }
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    let header = stream.header(length);
    let mut frame = Buf::chain(&header[..], data);
    while frame.has_remaining() {
        let mut slices = [io::IoSlice::new(&[]); 2];
        let count = frame.chunks_vectored(&mut slices);
        let written = client.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        frame.advance(written);
    }
    Ok(())
}

/// Which stream a chunk's bytes belong to, on the wire.
pub(crate) fn stream_of(source: Source) -> stdcopy::Stream {
    match source {
        Source::Stdout => stdcopy::Stream::Stdout,
        Source::Stderr => stdcopy::Stream::Stderr,
    }
}

/// Takes what the client has sent and nobody read: closing over unread bytes would reset the connection
/// and could cost the client the end of the output.
fn discard(client: &mut (impl AsyncRead + Unpin)) {
    let mut space = [0; 4096];
    while let Some(Ok(length)) = client.read(&mut space).now_or_never() {
        if length == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
