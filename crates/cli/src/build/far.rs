//! Connections of the client for an event loop.

use std::pin::Pin;
use std::task::{self, Poll};

use buildkit::grpc::Rewound;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::{Behind, Connection, Stream};

/// A stream of either kind, for the event loop.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The same connection, as an event loop wants it.
pub(super) fn asynchronous(connection: Connection) -> std::io::Result<Rewound<Box<dyn Io>>> {
    let early = connection.buffer().to_vec();
    let stream = connection.into_inner();
    stream.set_nonblocking(true)?;
    let io: Box<dyn Io> = match stream {
        Stream::Unix(stream) => Box::new(tokio::net::UnixStream::from_std(stream)?),
        Stream::Tcp(stream) => Box::new(tokio::net::TcpStream::from_std(stream)?),
        Stream::Relayed(relayed) => {
            let (socket, behind) = relayed.into_parts();
            Box::new(Far(tokio::net::UnixStream::from_std(socket)?, behind))
        }
    };
    Ok(Rewound::new(early, io))
}

/// A stream and who carries on behind it, dropped in this order.
struct Far<I>(I, #[expect(dead_code, reason = "held until the stream is closed")] Behind);

impl<I: AsyncRead + Unpin> AsyncRead for Far<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Far<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
