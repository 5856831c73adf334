//! Questions over TCP: each behind its length (RFC 1035, 4.2.2).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::network::Verdict;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Served;

/// Connections of one container at once.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to ask, and to take its answer.
const IDLE: Duration = Duration::from_secs(10);

/// Accepts for as long as the container lives.
pub(super) async fn serve(served: Arc<Served>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // More than that wait until one is through.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let _place = place;
                    // A client that goes away needs no answer.
                    let _ = converse(&served, stream).await;
                });
            }
            Err(error) => {
                tracing::warn!(container = %served.id, %error, "the resolver's socket failed");
                return;
            }
        }
    }
}

async fn converse(served: &Served, mut stream: TcpStream) -> io::Result<()> {
    let mut turn = 0;
    loop {
        let query = tokio::time::timeout(IDLE, read(&mut stream)).await??;
        let answer = match served.engine.network.answer(&served.id, &query, turn, true) {
            Verdict::Answer(answer) => answer,
            Verdict::Forward => served.upstream.ask(&query, true).await,
            Verdict::Drop => return Ok(()),
        };
        turn += 1;
        tokio::time::timeout(IDLE, write(&mut stream, &answer)).await??;
    }
}

/// One message.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// One message, in one segment if it fits.
pub(super) async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}
