//! One connection: requests out, replies and events in.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shim::protocol::{ClientFrame, FrameError, FrameReader, Reply, Request, ServerFrame, encode, send_some};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::ShimError;
use super::events::{BACKLOG, Events, ShimEvent};
use super::newborn::Newborn;

type Answer = Result<(Reply, Vec<OwnedFd>), ShimError>;

/// What the sending side and the reading task share.
#[derive(Debug)]
struct Link {
    stream: UnixStream,
    /// `None` once the connection has ended.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
}

/// One connection to a shim.
#[derive(Debug)]
pub(super) struct Connection {
    link: Arc<Link>,
    /// Held while a frame is written, so that frames don't mix.
    sending: Arc<tokio::sync::Mutex<()>>,
    next_id: AtomicU64,
    reader: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    pub(super) fn over(
        socket: std::os::unix::net::UnixStream,
        newborn: Option<Arc<Newborn>>,
    ) -> Result<(Arc<Self>, Events), ShimError> {
        let register = ShimError::system("register the shim's socket");
        let stream =
            socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket)).map_err(register)?;
        let link = Arc::new(Link { stream, waiting: Mutex::new(Some(HashMap::new())) });
        let (events, receiver) = mpsc::channel(BACKLOG);
        let reader = tokio::spawn(read(Arc::clone(&link), events, newborn)).abort_handle();
        let sending = Arc::new(tokio::sync::Mutex::new(()));
        let connection = Self { link, sending, next_id: AtomicU64::new(1), reader };
        Ok((Arc::new(connection), Events { receiver }))
    }

    /// Send a request whose answer nobody waits for. Only for small frames on a fresh connection, which
    /// always fit into the socket's buffer.
    pub(super) fn post(&self, request: &Request) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = serde_json::json!({ "id": id, "request": request });
        if let Ok(bytes) = encode(&frame) {
            // a failure is seen by the next request, as the end of the connection
            let _ = send_some(self.link.stream.as_fd(), &bytes, &[]);
        }
    }

    pub(super) async fn call(&self, request: &Request, fds: Vec<OwnedFd>) -> Result<Reply, ShimError> {
        self.call_fds(request, fds).await.map(|(reply, _)| reply)
    }

    pub(super) async fn call_fds(&self, request: &Request, fds: Vec<OwnedFd>) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let bytes = encode(&Outgoing { id, fds: fds.len(), request })?;
        let (sender, answer) = oneshot::channel();
        self.link.waiting().as_mut().ok_or(ShimError::Gone)?.insert(id, sender);
        if self.send(bytes, fds).await.is_err() {
            self.link.forget(id);
            return Err(ShimError::Gone);
        }
        answer.await.unwrap_or(Err(ShimError::Gone))
    }

    /// Send a whole frame. What does not fit at once is sent by a task of its own, which keeps the turn:
    /// a frame cut short by a cancelled caller would end the connection for all others.
    async fn send(&self, bytes: Vec<u8>, fds: Vec<OwnedFd>) -> io::Result<()> {
        let turn = Arc::clone(&self.sending).lock_owned().await;
        let link = Arc::clone(&self.link);
        // the common case: everything fits at once
        let sent = {
            let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            match send_some(link.stream.as_fd(), &bytes, &borrowed) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                other => other?,
            }
        };
        if sent == bytes.len() {
            return Ok(());
        }
        let rest = async move {
            let _turn = turn;
            send_rest(&link.stream, &bytes, sent, &fds).await
        };
        tokio::spawn(rest).await.unwrap_or_else(|e| Err(io::Error::other(e)))
    }
}

async fn send_rest(stream: &UnixStream, bytes: &[u8], mut sent: usize, fds: &[OwnedFd]) -> io::Result<()> {
    while sent < bytes.len() {
        let n = stream.async_io(Interest::WRITABLE, || {
            let borrowed: Vec<_> = if sent == 0 { fds.iter().map(AsFd::as_fd).collect() } else { Vec::new() };
            send_some(stream.as_fd(), &bytes[sent..], &borrowed)
        });
        sent += n.await?;
    }
    Ok(())
}

/// [`ClientFrame`] with a borrowed request.
#[derive(serde::Serialize)]
struct Outgoing<'a> {
    id: u64,
    fds: usize,
    request: &'a Request,
}

/// The two spell the same frame; this fails to compile when `ClientFrame` changes.
const _: fn(ClientFrame) = |ClientFrame { id: _, fds: _, request: _ }| {};

impl Link {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, id: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting().as_mut()?.remove(&id)
    }
}

/// Read until the connection ends, then fail whoever still waits.
async fn read(link: Arc<Link>, events: mpsc::Sender<ShimEvent>, newborn: Option<Arc<Newborn>>) {
    let mut frames = FrameReader::default();
    let mut first = newborn.as_ref();
    while let Ok(true) = fill(&link.stream, &mut frames).await {
        if let Some(newborn) = first.take() {
            newborn.weaned();
        }
        if dispatch(&link, &mut frames, &events).await.is_err() {
            break;
        }
    }
    if let Some(newborn) = newborn {
        newborn.dying();
    }
    let orphans = link.waiting().take();
    drop(orphans);
    // nobody listens any more when this fails
    let _ = events.send(ShimEvent::Gone).await;
}

async fn fill(stream: &UnixStream, frames: &mut FrameReader) -> Result<bool, FrameError> {
    let read = stream.async_io(Interest::READABLE, || match frames.fill(stream.as_fd(), false) {
        Err(FrameError::Io(e)) => Err(e),
        other => Ok(other),
    });
    read.await.map_err(FrameError::Io)?
}

async fn dispatch(
    link: &Link,
    frames: &mut FrameReader,
    events: &mpsc::Sender<ShimEvent>,
) -> Result<(), FrameError> {
    while let Some(bytes) = frames.next_frame()? {
        let frame = parse(&bytes)?;
        let fds = frames.take_fds(frame.fds);
        if let Some(event) = frame.event {
            // without a listener events are of no use, but replies still are
            let _ = events.send(ShimEvent::Told(event)).await;
        }
        let Some(sender) = frame.id.and_then(|id| link.forget(id)) else { continue };
        let answer = match (frame.reply, frame.error) {
            (Some(reply), _) => Ok((reply, fds)),
            (None, Some(error)) => Err(ShimError::Refused(error)),
            (None, None) => Err(ShimError::Unexpected("the request")),
        };
        // the caller may have gone meanwhile
        let _ = sender.send(answer);
    }
    Ok(())
}

/// A frame, or what is understood of one by a newer shim: events and replies unknown here are left out.
fn parse(bytes: &[u8]) -> Result<ServerFrame, FrameError> {
    #[derive(serde::Deserialize)]
    struct Known {
        id: Option<u64>,
        #[serde(default)]
        fds: usize,
    }
    serde_json::from_slice(bytes).or_else(|_| {
        let Known { id, fds } = serde_json::from_slice(bytes)?;
        Ok(ServerFrame { id, fds, ..ServerFrame::default() })
    })
}
