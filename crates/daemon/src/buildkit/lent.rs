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
use buildkit::session::{Dir, Pieces, Session};
use engine::build::Lent;
use engine::registry::Credentials;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::uploads::{self, Uploads};

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
        Ok(Box::new(Upload { pieces, runtime: self.runtime.clone(), piece: Vec::new(), given: 0 }))
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

/// A stream of pieces, read by a thread.
struct Upload {
    pieces: Pieces,
    runtime: Handle,
    piece: Vec<u8>,
    given: usize,
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            let next = self.runtime.block_on(self.pieces.next());
            match next.map_err(|status| io::Error::other(status.message().to_owned()))? {
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
