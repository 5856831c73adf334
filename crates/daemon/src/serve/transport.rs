//! What a connection runs over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

/// A byte stream that can tell when its peer is gone for good.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// A second descriptor of the socket, to watch it by.
    fn socket(&self) -> io::Result<OwnedFd>;
}

impl Transport for UnixStream {
    fn socket(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}

impl Transport for TcpStream {
    fn socket(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}

/// Waits until the peer has closed both directions. A peer that only has stopped sending is still there.
///
/// On a descriptor of its own: readiness is cleared here, which must not be seen by who reads and writes.
pub(crate) async fn hangup(socket: OwnedFd) {
    let Ok(watched) = AsyncFd::with_interest(socket, Interest::WRITABLE) else {
        return std::future::pending().await;
    };
    while let Ok(mut guard) = watched.ready(Interest::WRITABLE).await {
        if guard.ready().is_write_closed() {
            return;
        }
        guard.clear_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn half_close_is_no_hangup() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut gone = tokio::spawn(hangup(ours.socket().unwrap()));
        theirs.shutdown().await.unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut gone).await;
        assert!(early.is_err(), "half-close taken for a hang-up");
        drop(theirs);
        tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap().unwrap();
    }
}
