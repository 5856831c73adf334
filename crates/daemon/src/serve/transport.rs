//! What a connection runs over.

use std::io;
use std::os::fd::AsFd as _;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use super::Peer;

/// A byte stream that can tell when its peer is gone for good.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// Completes when the peer has closed both directions. A peer that only has stopped sending is still there.
    ///
    /// Watches a descriptor of its own: what is cleared here must not be missed by who reads and writes.
    fn hangup(&self) -> io::Result<BoxFuture<'static, ()>>;

    /// Completes when the peer has read all that was sent so far, where the kernel can tell.
    fn read_by_peer(&self) -> io::Result<BoxFuture<'static, ()>>;

    /// Who the peer has proved to be by a certificate, if by any.
    fn peer(&self) -> Option<Peer> {
        None
    }
}

macro_rules! transport {
    ($stream:ty, $std:ty, $unread:expr) => {
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

            fn read_by_peer(&self) -> io::Result<BoxFuture<'static, ()>> {
                let watched = <$stream>::from_std(<$std>::from(self.as_fd().try_clone_to_owned()?))?;
                Ok(async move {
                    while watched.ready(Interest::WRITABLE).await.is_ok() {
                        let all_read =
                            watched.try_io(Interest::WRITABLE, || match $unread(watched.as_fd()) {
                                // The kernel wakes the writer just before it takes the last byte off its count
                                // (sock_wfree), and no buffer is as small as one byte: waiting for 0 could
                                // miss the only wake-up there is.
                                Ok(0 | 1) => Ok(()),
                                // Each read by the peer makes room, and that is a change to wait for.
                                Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
                                Err(error) => Err(error),
                            });
                        match all_read {
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                            _ => return,
                        }
                    }
                }
                .boxed())
            }
        }
    };
}

transport!(UnixStream, std::os::unix::net::UnixStream, |fd| sys::net::unread(fd).map_err(io::Error::from));
// TCP tells what has arrived, not what was read.
transport!(TcpStream, std::net::TcpStream, |_fd| Ok::<_, io::Error>(0));

#[cfg(feature = "tls")]
impl Transport for tokio_rustls::server::TlsStream<TcpStream> {
    fn hangup(&self) -> io::Result<BoxFuture<'static, ()>> {
        self.get_ref().0.hangup()
    }

    fn read_by_peer(&self) -> io::Result<BoxFuture<'static, ()>> {
        self.get_ref().0.read_by_peer()
    }

    fn peer(&self) -> Option<Peer> {
        let certificates = self.get_ref().1.peer_certificates()?;
        Peer::new(certificates.iter().map(|certificate| certificate.to_vec()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn reading_by_the_peer_is_seen() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"head").await.unwrap();
        let mut read = tokio::spawn(ours.read_by_peer().unwrap());
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut read).await;
        assert!(early.is_err(), "nothing was read yet");
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), read).await.unwrap().unwrap();
    }

    /// The reader is on another processor: most of its reads meet the count while the kernel still changes it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_read_by_the_peer_is_missed() {
        for round in 0..20_000 {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let theirs = theirs.into_std().unwrap();
            theirs.set_nonblocking(false).unwrap();
            ours.write_all(b"head").await.unwrap();
            let read = ours.read_by_peer().unwrap();
            let reader = tokio::task::spawn_blocking(move || {
                io::Read::read_exact(&mut &theirs, &mut [0; 4]).map(|()| theirs)
            });
            let waited = tokio::time::timeout(std::time::Duration::from_secs(5), read).await;
            assert!(waited.is_ok(), "the read of round {round} was missed");
            reader.await.unwrap().unwrap();
        }
    }

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
