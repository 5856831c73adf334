//! Contexts that clients send beside their builds, as `docker` before 23.0 does for an archive on standard input: a
//! request of its own (`buildid=upload-request:<id>`) brings the bytes to the build (`buildid=<id>`,
//! `remote=upload-request`). Either may come first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Reader;
use tokio::sync::oneshot;

/// The word for it, in both requests.
pub(crate) const REQUEST: &str = "upload-request";

/// A context's bytes. Whoever sends them hears when this goes.
pub(super) struct Upload {
    pub(super) archive: Reader,
    _read: oneshot::Sender<()>,
}

/// A context that one side waits with.
struct Meeting {
    give: Option<oneshot::Sender<Upload>>,
    take: Option<oneshot::Receiver<Upload>>,
}

/// Those that wait for their other side.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<HashMap<String, Meeting>>>);

/// Whoever waits and goes away waits no longer.
struct Waiting<'a>(&'a Uploads, &'a str);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(self.1);
    }
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Meeting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One side's half of a meeting, which begins here or ends here.
    fn half<T>(&self, id: &str, half: impl Fn(&mut Meeting) -> Option<T>) -> Option<T> {
        let mut all = self.lock();
        let meeting = all.entry(id.to_owned()).or_insert_with(|| {
            let (give, take) = oneshot::channel();
            Meeting { give: Some(give), take: Some(take) }
        });
        half(meeting)
    }

    /// Gives a build its context, and waits until that is read; whether there was one that wanted it.
    pub(super) async fn give(&self, id: &str, archive: Reader) -> bool {
        let Some(give) = self.half(id, |meeting| meeting.give.take()) else { return false };
        let _waiting = Waiting(self, id);
        let (read, done) = oneshot::channel();
        let sent = give.send(Upload { archive, _read: read }).is_ok();
        // the sender goes with the upload, and says nothing before
        let _ = done.await;
        sent
    }

    /// Waits for a build's context; `None` if somebody has it.
    pub(super) async fn take(&self, id: &str) -> Option<Upload> {
        let take = self.half(id, |meeting| meeting.take.take())?;
        let _waiting = Waiting(self, id);
        take.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn archive() -> Reader {
        Box::new(&b"bytes"[..])
    }

    #[tokio::test]
    async fn either_side_may_come_first_and_goes_without_a_trace() {
        let uploads = Uploads::default();
        for first in [true, false] {
            let take = async {
                let mut upload = uploads.take("a").await.unwrap();
                let mut text = String::new();
                upload.archive.read_to_string(&mut text).await.unwrap();
                text
            };
            let (given, taken) = if first {
                tokio::join!(uploads.give("a", archive()), take)
            } else {
                let (taken, given) = tokio::join!(take, uploads.give("a", archive()));
                (given, taken)
            };
            assert!(given && taken == "bytes" && uploads.lock().is_empty());
        }
        let alone = tokio::time::timeout(Duration::from_millis(1), uploads.give("a", archive())).await;
        assert!(alone.is_err() && uploads.lock().is_empty());
        let (first, second) = tokio::join!(
            tokio::time::timeout(Duration::from_millis(1), uploads.take("a")),
            uploads.take("a")
        );
        assert!(first.is_err() && second.is_none());
    }
}
