//! A client's session as the engine borrows from it: its calls, waited for by threads that may.

use std::future::Future;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use build::Cancel;
use build::graph::LocalSource;
use buildkit::Status;
use buildkit::filesync::Progress;
use buildkit::session::{self, Dir, Expected, Pieces, Session};
use engine::build::Lent;
use engine::registry::Credentials;
use oci::Digest;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::uploads::{self, Uploads};

/// Bytes of a blob that are read at once, and pieces that wait for the client.
const PIECE: usize = 256 << 10;
const AHEAD: usize = 4;

/// The session of one build.
pub(super) struct Borrowed {
    session: Session,
    uploads: Uploads,
    runtime: Handle,
    cancel: Cancel,
}

impl Borrowed {
    pub(super) fn new(session: Session, uploads: Uploads, cancel: Cancel) -> Self {
        Self { session, uploads, runtime: Handle::current(), cancel }
    }

    /// Waits, but not for longer than the build is wanted.
    fn wait<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, String> {
        let (told, cancelled) = oneshot::channel();
        let _on_cancel = self.cancel.on_cancel(move || {
            let _ = told.send(());
        });
        self.runtime.block_on(async {
            tokio::select! {
                done = call => done.map_err(|status| status.message().to_owned()),
                Ok(()) = cancelled => Err("the build was cancelled".to_owned()),
            }
        })
    }
}

impl Lent for Borrowed {
    fn shared_key(&self) -> &str {
        &self.session.shared_key
    }

    fn directory(&self, wanted: &LocalSource, into: OwnedFd) -> Result<u64, String> {
        let dir = Dir {
            name: wanted.name.clone(),
            include: wanted.include.clone(),
            exclude: wanted.exclude.clone(),
            follow: wanted.follow.clone(),
        };
        let progress = Arc::new(Progress::default());
        self.wait(self.session.sync(&dir, into, Arc::clone(&progress)))?;
        Ok(progress.bytes.load(Ordering::Relaxed))
    }

    fn upload(&self, host: &str, path: &str) -> Result<Box<dyn Read + Send>, String> {
        if let Some(id) = path.strip_prefix('/').and_then(|path| path.strip_prefix(uploads::REQUEST)) {
            let id = id.trim_start_matches(':');
            let taken = async { Ok(self.uploads.take(id).await) };
            let upload = self.wait(taken)?.ok_or("the context has been read already")?;
            return Ok(Box::new(Sent { upload, runtime: self.runtime.clone() }));
        }
        let pieces = self.wait(self.session.upload(host, path))?;
        Ok(Box::new(Pieced::new(Upload { pieces, runtime: self.runtime.clone() })))
    }

    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, String> {
        self.wait(self.session.secret(id))
    }

    fn has_agent(&self, id: &str) -> Result<bool, String> {
        self.wait(self.session.has_agent(id))
    }

    fn forward(&self, id: &str, connection: UnixStream) {
        let (session, id) = (self.session.clone(), id.to_owned());
        self.runtime.spawn(async move {
            let forwarded = async {
                connection.set_nonblocking(true)?;
                let connection = tokio::net::UnixStream::from_std(connection)?;
                session.forward_agent(&id, connection).await.map_err(io::Error::other)
            };
            if let Err(error) = forwarded.await {
                tracing::debug!("a connection to ssh agent {id} ended: {error}");
            }
        });
    }

    fn credentials(&self, registry: &str) -> Result<Credentials, String> {
        self.wait(credentials(&self.session, registry))
    }

    fn content(&self, store: &str, digest: &Digest) -> Result<Option<Box<dyn Read + Send>>, String> {
        let digest = digest.as_str();
        let found = async {
            match self.session.content_size(store, digest).await? {
                None => Ok(None),
                Some(_) => self.session.content(store, digest).await.map(Some),
            }
        };
        let pieces = self.wait(found)?;
        let source = |pieces| Content { pieces, runtime: self.runtime.clone(), cancel: self.cancel.clone() };
        Ok(pieces.map(|pieces| Box::new(Pieced::new(source(pieces))) as Box<dyn Read + Send>))
    }

    fn put_content(
        &self,
        store: &str,
        digest: &Digest,
        size: u64,
        source: &mut (dyn Read + Send),
    ) -> Result<(), String> {
        let expected = Expected { digest: digest.to_string(), size };
        if self.wait(self.session.content_size(store, &expected.digest))?.is_some() {
            return Ok(());
        }
        let (go, pieces) = mpsc::channel(AHEAD);
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.wait(self.session.put_content(store, &expected, pieces)));
            let read = given(source, &go);
            drop(go);
            let written = writing.join().unwrap_or_else(|_panic| Err("a thread failed".to_owned()));
            // what can't be read is why the client has not got all of it
            read.and(written)
        })
    }
}

/// Gives what is read to who writes it, until that has enough.
fn given(source: &mut (dyn Read + Send), go: &mpsc::Sender<Vec<u8>>) -> Result<(), String> {
    loop {
        let mut piece = vec![0; PIECE];
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                piece.truncate(count);
                if go.blocking_send(piece).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("read a blob: {error}")),
        }
    }
}

/// Who the client is at a registry.
pub(super) async fn credentials(session: &Session, registry: &str) -> Result<Credentials, Status> {
    let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let (username, password) = session.credentials(host).await?;
    Ok(match (username.is_empty(), password.is_empty()) {
        (true, true) => Credentials::Anonymous,
        (true, false) => Credentials::IdentityToken(password),
        _ => Credentials::Basic { username, password },
    })
}

/// A context that came beside its build, read by a thread.
struct Sent {
    upload: uploads::Upload,
    runtime: Handle,
}

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.upload.archive.read(buffer))
    }
}

/// What comes in pieces that are waited for.
trait Next {
    /// The next piece, `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// A stream that the client has named by a URL.
struct Upload {
    pieces: Pieces,
    runtime: Handle,
}

impl Next for Upload {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let next = self.runtime.block_on(self.pieces.next());
        next.map_err(|status| io::Error::other(status.message().to_owned()))
    }
}

/// A blob of the client's.
struct Content {
    pieces: session::Content,
    runtime: Handle,
    cancel: Cancel,
}

impl Next for Content {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.cancel.check().map_err(io::Error::other)?;
        let next = self.runtime.block_on(self.pieces.next());
        next.map_err(|status| io::Error::other(status.message().to_owned()))
    }
}

/// Pieces as a stream, read by a thread.
struct Pieced<T> {
    source: T,
    piece: Vec<u8>,
    given: usize,
}

impl<T> Pieced<T> {
    fn new(source: T) -> Self {
        Self { source, piece: Vec::new(), given: 0 }
    }
}

impl<T: Next> Read for Pieced<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            match self.source.next()? {
                None => return Ok(0),
                Some(piece) => (self.piece, self.given) = (piece, 0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.given);
        buffer[..count].copy_from_slice(&self.piece[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
