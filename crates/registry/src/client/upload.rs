//! Uploads: in one request when digest and size are known, as a stream when they are not, resumed where they broke.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use oci::{Algorithm, Digest};

use super::digest::{self, Hasher};
use super::endpoint::Capability;
use super::error::{Error, Result};
use super::exchange::{Call, Content, Peer, finish, location};
use super::manifest::told_digest;
use super::net::Chunks;
use super::repository::Repository;
use super::retry::Attempts;
use super::url::Url;

/// The bytes of a blob that is uploaded. They are the same each time: an upload that breaks goes on at an offset.
pub trait BlobSource: Send + Sync + 'static {
    /// The bytes from `offset` on, to the end.
    ///
    /// An error ends the upload; it comes back as [`Error::Source`].
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>>;
}

/// A shared source.
pub(crate) type Source = Arc<dyn BlobSource>;

/// An upload that the registry waits for.
pub struct Session {
    peer: Peer,
    location: Url,
}

/// What came of asking for a blob that another repository has.
pub enum Mount {
    /// It is in this repository now.
    Mounted,
    /// It is not: the registry waits for its bytes.
    Refused(Session),
}

/// One upload, as far as it has come.
struct Upload<'a> {
    repository: &'a Repository,
    session: Session,
    source: Source,
    /// Bytes that the registry has.
    offset: u64,
}

impl Repository {
    /// Takes a blob over from another repository of the same registry, without its bytes.
    ///
    /// # Errors
    /// [`Error`]; that the other repository does not have it is none.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount> {
        let mut tries = self.tries(Capability::Push).await?;
        loop {
            let result = self.mount_at(tries.peer(), digest, from).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// Uploads a blob whose digest and size are known; `session` is what [`Repository::mount`] left.
    ///
    /// # Errors
    /// [`Error::Source`]; [`Error`]: the registry refuses bytes that do not have the digest.
    pub async fn upload(
        &self,
        digest: &Digest,
        size: u64,
        source: &Arc<dyn BlobSource>,
        session: Option<Session>,
    ) -> Result<()> {
        let mut upload = self.begin(Arc::clone(source), session).await?;
        let mut attempts = Attempts::new(self.registry.inner.config.retry);
        loop {
            let before = upload.offset;
            let Err(error) = upload.push_known(digest, size).await else { return Ok(()) };
            if upload.offset > before {
                attempts.progress();
            }
            attempts.again(error).await?;
            if self.exists(digest).await? == Some(size) {
                // only the answer was lost
                return Ok(());
            }
            upload.find_out().await?;
        }
    }

    /// Uploads a blob whose digest is not known before its last byte, and returns its SHA-256 digest and its size.
    /// The source is read once, unless the upload breaks.
    ///
    /// # Errors
    /// [`Error::Source`]; [`Error`].
    pub async fn upload_stream(
        &self,
        source: &Arc<dyn BlobSource>,
        session: Option<Session>,
    ) -> Result<(Digest, u64)> {
        let seen = Arc::new(Seen { source: Arc::clone(source), state: Arc::default() });
        let mut upload = self.begin(Arc::clone(&seen) as Source, session).await?;
        let mut attempts = Attempts::new(self.registry.inner.config.retry);
        loop {
            let before = upload.offset;
            let error = match upload.push_unknown(&seen).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if upload.offset > before {
                attempts.progress();
            }
            attempts.again(error).await?;
            if let Some((digest, size)) = seen.result()
                && self.exists(&digest).await? == Some(size)
            {
                return Ok((digest, size));
            }
            upload.find_out().await?;
        }
    }

    async fn mount_at(&self, peer: &Peer, digest: &Digest, from: &str) -> Result<Mount> {
        let url =
            self.uploads_url(peer).with_parameter("mount", digest.as_str()).with_parameter("from", from);
        let scopes = self.pushing().union(&super::auth::Scopes::repository(from, &["pull"]));
        let answer = peer.call(&Call::new(Method::POST, url, scopes), &[201, 202]).await?;
        if answer.status == 202 {
            return Ok(Mount::Refused(session(peer, answer).await?));
        }
        if let Some(told) = told_digest(&answer.headers, &answer.place.url)? {
            digest::compare(&format!("blob mounted from {from}"), digest, told.as_str())?;
        }
        finish(answer).await;
        Ok(Mount::Mounted)
    }

    async fn begin(&self, source: Source, session: Option<Session>) -> Result<Upload<'_>> {
        let session = match session {
            Some(session) => session,
            None => {
                let mut tries = self.tries(Capability::Push).await?;
                loop {
                    let result = self.start_at(tries.peer()).await;
                    if let Some(result) = tries.judge(result) {
                        break result?;
                    }
                }
            }
        };
        Ok(Upload { repository: self, session, source, offset: 0 })
    }

    async fn start_at(&self, peer: &Peer) -> Result<Session> {
        let call = Call::new(Method::POST, self.uploads_url(peer), self.pushing());
        session(peer, peer.call(&call, &[202]).await?).await
    }

    fn uploads_url(&self, peer: &Peer) -> Url {
        peer.endpoint.url(&format!("/{}/blobs/uploads/", self.path))
    }
}

async fn session(peer: &Peer, answer: super::net::Response) -> Result<Session> {
    let at = &answer.place.url;
    let location = location(&answer.headers, at)?
        .ok_or_else(|| Error::protocol(at, "does not say where to upload to"))?;
    peer.check_clear(at, &location)?;
    finish(answer).await;
    Ok(Session { peer: peer.clone(), location })
}

impl Upload<'_> {
    async fn push_known(&mut self, digest: &Digest, size: u64) -> Result<()> {
        if self.offset == 0 {
            let content = Content::From(Arc::clone(&self.source), 0, Some(size));
            return self.close(digest, content, size).await;
        }
        if self.offset < size {
            let content = Content::From(Arc::clone(&self.source), self.offset, Some(size - self.offset));
            let range = format!("{}-{}", self.offset, size - 1);
            self.patch(content, Some(range)).await?;
            self.offset = size;
        }
        self.close(digest, Content::None, size).await
    }

    async fn push_unknown(&mut self, seen: &Arc<Seen>) -> Result<(Digest, u64)> {
        if seen.result().is_none_or(|(_, size)| self.offset < size) {
            let content = Content::From(Arc::clone(&self.source), self.offset, None);
            self.patch(content, None).await?;
        }
        let (digest, size) = seen.result().ok_or_else(|| {
            Error::protocol(&self.session.location, "has answered before the end of the blob was sent")
        })?;
        self.offset = size;
        self.close(&digest, Content::None, size).await?;
        Ok((digest, size))
    }

    async fn patch(&mut self, content: Content, range: Option<String>) -> Result<()> {
        let mut call = self.call(Method::PATCH, content);
        if let Some(range) = range {
            let value = HeaderValue::try_from(range)
                .map_err(|error| Error::protocol(&self.session.location, error.to_string()))?;
            call = call.header(CONTENT_RANGE, value);
        }
        let answer = self.session.peer.once(&call, &[202, 204, 201]).await?;
        self.moved(&answer.headers)?;
        finish(answer).await;
        Ok(())
    }

    /// The registry may hash the whole blob and move it before it answers.
    async fn close(&mut self, digest: &Digest, content: Content, size: u64) -> Result<()> {
        let mut call = Call { before: size, ..self.call(Method::PUT, content) };
        call.url = call.url.with_parameter("digest", digest.as_str());
        let answer = self.session.peer.once(&call, &[201, 204]).await?;
        if let Some(told) = told_digest(&answer.headers, &answer.place.url)?
            && told.algorithm() == digest.algorithm()
        {
            digest::compare("the uploaded blob", digest, told.as_str())?;
        }
        finish(answer).await;
        Ok(())
    }

    /// Asks how much the registry has; begins anew when it has forgotten.
    async fn find_out(&mut self) -> Result<()> {
        let call = self.call(Method::GET, Content::None);
        match self.session.peer.call(&call, &[204, 200, 202]).await {
            Ok(answer) => {
                let range = answer.headers.get(RANGE).and_then(|value| value.to_str().ok());
                self.offset = range.and_then(received).unwrap_or(0);
                self.moved(&answer.headers)?;
                finish(answer).await;
            }
            Err(error) if matches!(error.status(), Some(400..=499)) && !error.is_denied() => {
                self.session = self.repository.start_at(&self.session.peer).await?;
                self.offset = 0;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn call(&self, method: Method, content: Content) -> Call {
        let mut call = Call::new(method, self.session.location.clone(), self.repository.pushing());
        if !matches!(content, Content::None) {
            call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        call.content = content;
        call
    }

    /// The next request goes where the registry says.
    fn moved(&mut self, headers: &HeaderMap) -> Result<()> {
        if let Some(location) = location(headers, &self.session.location)? {
            self.session.peer.check_clear(&self.session.location, &location)?;
            self.session.location = location;
        }
        Ok(())
    }
}

/// How many bytes `Range: 0-N` says have come. `0-0` is said of nothing and of one byte: nothing is the safe reading,
/// since the registry refuses a part that does not fit.
fn received(text: &str) -> Option<u64> {
    let text = text.trim();
    let (first, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let last: u64 = last.parse().ok()?;
    (first == "0").then_some(if last == 0 { 0 } else { last.saturating_add(1) })
}

/// A source whose bytes are hashed as they go by, each once.
struct Seen {
    source: Source,
    state: Arc<Mutex<Progress>>,
}

struct Progress {
    hasher: Hasher,
    hashed: u64,
    ended: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { hasher: Hasher::new(Algorithm::Sha256), hashed: 0, ended: false }
    }
}

impl Seen {
    /// Digest and size, when all has gone by.
    fn result(&self) -> Option<(Digest, u64)> {
        let state = lock(&self.state);
        let text = state.ended.then(|| format!("sha256:{}", state.hasher.clone().hex()))?;
        Some((text.parse().ok()?, state.hashed))
    }
}

impl BlobSource for Seen {
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
        Box::pin(async move {
            let chunks = self.source.open(offset).await?;
            let state = Arc::clone(&self.state);
            let mut at = offset;
            let last = Arc::clone(&self.state);
            let hashed = chunks.map(move |chunk| {
                let chunk: Bytes = chunk?;
                let mut state = lock(&state);
                let new = state.hashed.saturating_sub(at).min(chunk.len() as u64) as usize;
                at += chunk.len() as u64;
                if new < chunk.len() {
                    state.hasher.update(&chunk[new..]);
                    state.hashed = at;
                }
                Ok(chunk)
            });
            let end = futures_util::stream::once(async move {
                lock(&last).ended = true;
                Ok(Bytes::new())
            });
            Ok(Box::pin(hashed.chain(end)) as Chunks)
        })
    }
}

fn lock(state: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_has_received() {
        assert_eq!(received("0-99"), Some(100));
        assert_eq!(received("bytes=0-99"), Some(100));
        assert_eq!(received("0-0"), Some(0));
        for bad in ["", "5-9", "0-", "0-x", "-1"] {
            assert_eq!(received(bad), None, "{bad}");
        }
    }

    struct Text(&'static [u8]);

    impl BlobSource for Text {
        fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
            let rest = &self.0[offset as usize..];
            let chunks: Vec<io::Result<Bytes>> = rest.chunks(3).map(|chunk| Ok(chunk.into())).collect();
            Box::pin(async move { Ok(Box::pin(futures_util::stream::iter(chunks)) as Chunks) })
        }
    }

    #[tokio::test]
    async fn each_byte_is_hashed_once() {
        let seen = Seen { source: Arc::new(Text(b"0123456789")), state: Arc::default() };
        let mut first = seen.open(0).await.unwrap();
        for _ in 0..3 {
            first.next().await.unwrap().unwrap();
        }
        assert_eq!(seen.result(), None);
        // the registry has five of nine
        let mut again = seen.open(5).await.unwrap();
        while again.next().await.is_some() {}
        assert_eq!(seen.result(), Some((Digest::sha256(b"0123456789"), 10)));
    }
}
