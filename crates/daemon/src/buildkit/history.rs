//! Builds that were, as `berth builder history` shows them. They are remembered as long as the daemon runs.

use std::collections::VecDeque;
use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest,
    UpdateBuildHistoryRequest,
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{broadcast, watch};

/// Builds that are remembered, but for pinned ones.
const MAX_RECORDS: usize = 100;
/// Changes that who listens may lag behind.
const MAX_LAG: usize = 256;

/// What is remembered.
#[derive(Clone, Debug)]
pub(crate) struct History {
    records: Arc<watch::Sender<VecDeque<BuildHistoryRecord>>>,
    changes: broadcast::Sender<BuildHistoryEvent>,
}

impl Default for History {
    fn default() -> Self {
        Self { records: Arc::default(), changes: broadcast::Sender::new(MAX_LAG) }
    }
}

impl History {
    /// Notes how a build stands: the first time that it began, with an end that it is over.
    pub(crate) fn note(&self, record: BuildHistoryRecord) {
        let done = record.completed_at.is_some();
        self.records.send_modify(|records| {
            if let Some(old) = records.iter_mut().find(|old| old.r#ref == record.r#ref) {
                *old = BuildHistoryRecord { pinned: old.pinned, ..record.clone() };
                return;
            }
            records.push_back(record.clone());
            while records.len() > MAX_RECORDS {
                let Some(oldest) =
                    records.iter().position(|record| !record.pinned && record.completed_at.is_some())
                else {
                    break;
                };
                records.remove(oldest);
            }
        });
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
        if let Some(filter) = request.filter.first() {
            return Err(Status::unimplemented(format!(
                "filter {filter:?} of the build history is not supported by this version of Berth"
            )));
        }
        let changes = self.changes.subscribe();
        let (name, active) = (request.r#ref.clone(), request.active_only);
        let wanted = move |record: &BuildHistoryRecord| {
            (name.is_empty() || record.r#ref == name) && !(active && record.completed_at.is_some())
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
            let fits = event.record.as_ref().is_some_and(|record| named.is_empty() || record.r#ref == named);
            std::future::ready(fits)
        });
        Ok(stream::iter(now).chain(rest).map(Ok))
    }

    /// Pins or forgets a build.
    pub(crate) fn update(&self, request: &UpdateBuildHistoryRequest) -> Result<(), Status> {
        let mut found = None;
        self.records.send_modify(|records| {
            let Some(place) = records.iter().position(|record| record.r#ref == request.r#ref) else { return };
            if request.delete {
                found = records.remove(place);
            } else {
                records[place].pinned = request.pinned;
                found = Some(records[place].clone());
            }
        });
        match found {
            None => Err(Status::not_found(format!("build {} is not in the history", request.r#ref))),
            Some(record) if request.delete => {
                self.tell(BuildHistoryEventType::Deleted, record);
                Ok(())
            }
            Some(record) => {
                self.tell(BuildHistoryEventType::Complete, record);
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
        let history = History::default();
        history.note(record("first", true));
        let pin = UpdateBuildHistoryRequest { r#ref: "first".into(), pinned: true, ..Default::default() };
        history.update(&pin).unwrap();
        for number in 0..MAX_RECORDS + 5 {
            history.note(record(&format!("b{number}"), true));
        }
        history.note(record("running", false));
        let all = names(&history, BuildHistoryRequest::default()).await;
        assert_eq!(all.len(), MAX_RECORDS);
        assert!(all.contains(&"first".to_owned()) && !all.contains(&"b0".to_owned()));
        let active = BuildHistoryRequest { active_only: true, ..Default::default() };
        assert_eq!(names(&history, active).await, ["running"]);
        let delete = UpdateBuildHistoryRequest { r#ref: "first".into(), delete: true, ..Default::default() };
        history.update(&delete).unwrap();
        assert!(history.update(&delete).is_err());
    }
}
