//! What a connection runs over.

use std::io;
use std::os::fd::AsFd as _;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

/// A byte stream that can tell when its peer is gone for good.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// Completes when the peer has closed both directions. A peer that only has stopped sending is still there.
    ///
    /// Watches a descriptor of its own: what is cleared here must not be missed by who reads and writes.
    fn hangup(&self) -> io::Result<BoxFuture<'static, ()>>;
}

macro_rules! transport {
    ($stream:ty, $std:ty) => {
        impl Transport for $stream {
            fn hangup(&self) -> io::Result<BoxFuture<'static, ()>> {
                let watched = <$stream>::from_std(<$std>::from(self.as_fd().try_clone_to_owned()?))?;
                Ok(async move {
                    while let Ok(ready) = watched.ready(Interest::WRITABLE).await {
                        if ready.is_write_closed() {
                            return;
                        }

                        // Not yet: forget that it is writable, and wait for the next change.
                        let _ = watched
                            .try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                    }
                }
                .boxed())
            }
        }
    };
}

transport!(UnixStream, std::os::unix::net::UnixStream);
transport!(TcpStream, std::net::TcpStream);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn half_close_is_no_hangup() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut gone = tokio::spawn(ours.hangup().unwrap());
        theirs.shutdown().await.unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut gone).await;
        assert!(early.is_err(), "half-close taken for a hang-up");
        drop(theirs);
        tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap().unwrap();
    }
}
