//! Builds that were, as `berth builder history` shows them, with how they went. The next daemon knows them, too.

mod filter;
mod layout;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest, StatusResponse,
    UpdateBuildHistoryRequest,
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{broadcast, watch};

use filter::Filter;
use layout::Layout;

/// Builds that are remembered, but for pinned ones.
const MAX_RECORDS: usize = 100;
/// Builds that may be pinned.
const MAX_PINNED: usize = 100;
/// Changes that who listens may lag behind.
const MAX_LAG: usize = 256;

/// What is remembered.
#[derive(Clone, Debug)]
pub(crate) struct History {
    layout: Arc<Layout>,
    records: Arc<watch::Sender<VecDeque<BuildHistoryRecord>>>,
    changes: broadcast::Sender<BuildHistoryEvent>,
}

impl History {
    /// Reads what former daemons have left. Builds that one of them had not ended were ended by its own end.
    ///
    /// # Errors
    /// The directory can't be read or made, or is of a newer version.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let layout = Layout::open(dir)?;
        let mut records: VecDeque<BuildHistoryRecord> = layout.records()?.into();
        for record in records.iter_mut().filter(|record| record.completed_at.is_none()) {
            // when that was nobody knows
            record.completed_at = Some(record.created_at.unwrap_or_default());
            record.error = Some(buildkit::proto::rpc::Status {
                code: buildkit::Code::Aborted.into(),
                message: "the daemon has ended before the build".to_owned(),
                details: Vec::new(),
            });
            layout.write(record)?;
        }
        let history = Self {
            layout: Arc::new(layout),
            records: Arc::new(watch::Sender::new(records)),
            changes: broadcast::Sender::new(MAX_LAG),
        };
        history.forget_old();
        Ok(history)
    }

    /// Removes those that are too many.
    fn forget_old(&self) {
        self.records.send_modify(|records| {
            while records.iter().filter(|record| !record.pinned).count() > MAX_RECORDS {
                let Some(oldest) =
                    records.iter().position(|record| !record.pinned && record.completed_at.is_some())
                else {
                    break;
                };
                if let Some(record) = records.remove(oldest) {
                    self.forget(&record.r#ref);
                }
            }
        });
    }

    fn forget(&self, build: &str) {
        if let Err(error) = self.layout.remove(build) {
            tracing::warn!(%error, build, "a build stays in the history's files");
        }
    }

    /// Keeps a record for the next daemon.
    fn keep(&self, record: &BuildHistoryRecord) {
        if let Err(error) = self.layout.write(record) {
            tracing::warn!(%error, build = %record.r#ref, "the history forgets this build when the daemon ends");
        }
    }

    /// Keeps how a build went.
    pub(crate) fn note_status(&self, build: &str, messages: &[StatusResponse]) {
        if let Err(error) = self.layout.write_status(build, messages) {
            tracing::warn!(%error, build, "how this build went is not kept");
        }
    }

    /// How a build went that is over; `None` for one that is not in the history, or not over.
    pub(crate) fn status(&self, build: &str) -> Option<io::Result<Vec<StatusResponse>>> {
        let over = |record: &BuildHistoryRecord| record.r#ref == build && record.completed_at.is_some();
        self.records.borrow().iter().any(over).then(|| self.layout.status(build))
    }

    /// Notes how a build stands: the first time that it began, with an end that it is over.
    pub(crate) fn note(&self, record: BuildHistoryRecord) {
        let done = record.completed_at.is_some();
        let mut now = record.clone();
        self.records.send_modify(|records| match records.iter_mut().find(|old| old.r#ref == record.r#ref) {
            Some(old) => {
                now.pinned = old.pinned;
                old.clone_from(&now);
            }
            None => records.push_back(now.clone()),
        });
        self.keep(&now);
        self.forget_old();
        self.tell(
            if done { BuildHistoryEventType::Complete } else { BuildHistoryEventType::Started },
            record,
        );
    }

    fn tell(&self, kind: BuildHistoryEventType, record: BuildHistoryRecord) {
        // nobody may be listening
        let _ = self.changes.send(event(kind, record));
    }

    /// What is remembered, and unless `early_exit` what comes to it.
    pub(crate) fn listen(
        &self,
        request: &BuildHistoryRequest,
    ) -> Result<impl Stream<Item = Result<BuildHistoryEvent, Status>> + Send + use<>, Status> {
        let filter = Filter::parse(&request.filter)?;
        if request.limit < 0 {
            return Err(Status::invalid_argument(format!("the limit {} is negative", request.limit)));
        }
        let changes = self.changes.subscribe();
        let (name, active) = (request.r#ref.clone(), request.active_only);
        let wanted = |record: &BuildHistoryRecord| {
            filter.matches(record)
                && (name.is_empty() || record.r#ref == name)
                && !(active && record.completed_at.is_some())
        };
        let mut now: Vec<_> = self.records.borrow().iter().filter(|record| wanted(record)).cloned().collect();
        if let Ok(limit @ 1..) = usize::try_from(request.limit) {
            now.drain(..now.len().saturating_sub(limit));
        }
        let now = now.into_iter().map(|record| {
            let done = record.completed_at.is_some();
            event(if done { BuildHistoryEventType::Complete } else { BuildHistoryEventType::Started }, record)
        });
        let later = stream::unfold(changes, |mut changes| async move {
            loop {
                match changes.recv().await {
                    Ok(change) => return Some((change, changes)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let rest = if request.early_exit { stream::empty().boxed() } else { later.boxed() };
        let named = request.r#ref.clone();
        let rest = rest.filter(move |event| {
            let fits = event
                .record
                .as_ref()
                .is_some_and(|record| (named.is_empty() || record.r#ref == named) && filter.matches(record));
            std::future::ready(fits)
        });
        Ok(stream::iter(now).chain(rest).map(Ok))
    }

    /// Pins or forgets a build. There is nothing to finalize: what is known of a build is kept with its end.
    pub(crate) fn update(&self, request: &UpdateBuildHistoryRequest) -> Result<(), Status> {
        let (mut found, mut full) = (None, false);
        self.records.send_modify(|records| {
            let pinned = records.iter().filter(|record| record.pinned).count();
            let Some(place) = records.iter().position(|record| record.r#ref == request.r#ref) else { return };
            if request.delete {
                found = records.remove(place);
            } else {
                full = request.pinned && !records[place].pinned && pinned >= MAX_PINNED;
                if !full && !request.finalize {
                    records[place].pinned = request.pinned;
                }
                found = Some(records[place].clone());
            }
        });
        match found {
            Some(_) if full => {
                Err(Status::resource_exhausted(format!("{MAX_PINNED} builds are pinned, and no more can be")))
            }
            Some(_) if request.finalize && !request.delete => Ok(()),
            None => Err(Status::not_found(format!("build {} is not in the history", request.r#ref))),
            Some(record) if request.delete => {
                self.forget(&record.r#ref);
                self.tell(BuildHistoryEventType::Deleted, record);
                Ok(())
            }
            Some(record) => {
                self.keep(&record);
                self.tell(BuildHistoryEventType::Complete, record);
                // one that is pinned no more may be one too many
                self.forget_old();
                Ok(())
            }
        }
    }
}

fn event(kind: BuildHistoryEventType, record: BuildHistoryRecord) -> BuildHistoryEvent {
    BuildHistoryEvent { r#type: kind.into(), record: Some(record) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, done: bool) -> BuildHistoryRecord {
        let completed_at = done.then(Default::default);
        BuildHistoryRecord { r#ref: name.into(), completed_at, ..Default::default() }
    }

    async fn names(history: &History, request: BuildHistoryRequest) -> Vec<String> {
        let request = BuildHistoryRequest { early_exit: true, ..request };
        let events = history.listen(&request).unwrap();
        events.map(|event| event.unwrap().record.unwrap().r#ref).collect().await
    }

    #[tokio::test]
    async fn only_the_last_are_remembered_and_the_pinned() {
        let dir = tempfile::TempDir::new().unwrap();
        let history = History::open(dir.path()).unwrap();
        history.note(record("first", true));
        let pin = UpdateBuildHistoryRequest { r#ref: "first".into(), pinned: true, ..Default::default() };
        history.update(&pin).unwrap();
        for number in 0..MAX_RECORDS + 5 {
            history.note(record(&format!("b{number}"), true));
        }
        history.note(record("running", false));
        let all = names(&history, BuildHistoryRequest::default()).await;
        // the pinned one does not count
        assert_eq!(all.len(), MAX_RECORDS + 1);
        assert!(all.contains(&"first".to_owned()) && !all.contains(&"b0".to_owned()));
        let active = BuildHistoryRequest { active_only: true, ..Default::default() };
        assert_eq!(names(&history, active).await, ["running"]);
        let delete = UpdateBuildHistoryRequest { r#ref: "first".into(), delete: true, ..Default::default() };
        history.update(&delete).unwrap();
        assert!(history.update(&delete).is_err());
        // what is left, and the version
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), MAX_RECORDS + 1);
        let filter = vec!["status==running".to_owned()];
        assert_eq!(names(&history, BuildHistoryRequest { filter, ..Default::default() }).await, ["running"]);
        let filter = vec!["colour==red".to_owned()];
        assert!(history.listen(&BuildHistoryRequest { filter, ..Default::default() }).is_err());
    }

    #[tokio::test]
    async fn so_many_are_pinned_and_finalizing_pins_nothing() {
        let dir = tempfile::TempDir::new().unwrap();
        let history = History::open(dir.path()).unwrap();
        let pin = |name: &str, pinned| {
            history.update(&UpdateBuildHistoryRequest { r#ref: name.into(), pinned, ..Default::default() })
        };
        for number in 0..=MAX_PINNED {
            let name = format!("b{number}");
            history.note(record(&name, true));
            assert_eq!(pin(&name, true).is_ok(), number < MAX_PINNED, "{name}");
        }
        let finalize = |name: &str| UpdateBuildHistoryRequest {
            r#ref: name.into(),
            finalize: true,
            ..Default::default()
        };
        history.update(&finalize("b0")).unwrap();
        assert!(history.update(&finalize("none")).is_err());
        assert!(pin("b100", true).is_err());
        pin("b0", false).unwrap();
        pin("b100", true).unwrap();
    }

    #[tokio::test]
    async fn the_next_daemon_knows_what_was() {
        let dir = tempfile::TempDir::new().unwrap();
        let history = History::open(dir.path()).unwrap();
        history.note(record("done", true));
        let said = StatusResponse {
            logs: vec![buildkit::proto::control::VertexLog { msg: b"words".to_vec(), ..Default::default() }],
            ..Default::default()
        };
        history.note_status("done", std::slice::from_ref(&said));
        history.note(record("killed", false));
        std::fs::write(dir.path().join(format!("{}.record", "0".repeat(64))), "spoilt").unwrap();
        std::fs::write(dir.path().join("x.record.new"), "").unwrap();
        let history = History::open(dir.path()).unwrap();
        assert_eq!(names(&history, BuildHistoryRequest::default()).await.len(), 2);
        let active = BuildHistoryRequest { active_only: true, ..Default::default() };
        assert!(names(&history, active).await.is_empty());
        assert_eq!(history.status("done").unwrap().unwrap(), [said]);
        assert!(history.status("killed").unwrap().unwrap().is_empty() && history.status("other").is_none());
        // two records, how one went, and the version
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
        std::fs::write(dir.path().join("version"), "2").unwrap();
        assert!(History::open(dir.path()).unwrap_err().to_string().contains("version 2"));
    }
}
