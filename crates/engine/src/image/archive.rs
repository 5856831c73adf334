//! Archives in and out: blocking readers and writers of the store joined to async streams.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use super::Progress;
use super::written::written;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::{Engine, Reader, Stream};

/// News that may wait for a slow client.
const BACKLOG: usize = 64;

type News = mpsc::Sender<Result<Progress>>;

pub(super) fn stream(receiver: mpsc::Receiver<Result<Progress>>) -> Stream<Progress> {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|news| (news, receiver))
    })
    .boxed()
}

impl Engine {
    /// Loads an archive of images (`docker save` or OCI layout, compressed or not).
    ///
    /// # Errors
    /// In the stream: the archive is malformed, truncated, or lies about a digest.
    pub async fn image_load(&self, archive: Reader, quiet: bool) -> Result<Stream<Progress>> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let engine = self.clone();
        tokio::task::spawn_blocking(move || {
            let bridge = SyncIoBridge::new(archive);
            if let Err(error) = engine.load(bridge, quiet, &sender) {
                // the client may have gone
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(stream(receiver))
    }

    fn load(&self, mut archive: SyncIoBridge<Reader>, quiet: bool, news: &News) -> Result<()> {
        let tell = |progress| {
            // a slow or absent client must not hold the load up
            let _ = news.try_send(Ok(progress));
        };
        let loaded = self.0.store.load(&mut archive, &|progress| match progress {
            store::Progress::Layer { id, current, total } if !quiet => {
                tell(Progress::Layer { id, status: "Loading layer".to_owned(), current, total });
            }
            store::Progress::Layer { .. } => {}
            store::Progress::Renamed { name, old } => tell(Progress::Message(format!(
                "The image {} already exists, renaming the old one with ID {old} to empty string",
                name.familiar()
            ))),
        })?;
        // the rest of the archive's padding, so that the client may finish sending
        let _ = std::io::copy(&mut archive.by_ref().take(1 << 20), &mut std::io::sink());
        for image in loaded {
            self.image_event("load", image.id.as_str(), image.id.as_str());
            for name in &image.refs {
                let _ =
                    news.blocking_send(Ok(Progress::Message(format!("Loaded image: {}", name.familiar()))));
            }
            if image.refs.is_empty() {
                let _ = news.blocking_send(Ok(Progress::Message(format!("Loaded image ID: {}", image.id))));
            }
        }
        Ok(())
    }

    /// An archive of these images (`docker save`).
    ///
    /// # Errors
    /// No such image.
    pub async fn image_save(&self, names: Vec<String>) -> Result<Reader> {
        let mut found = BTreeSet::new();
        for name in &names {
            found.extend(self.0.store.selected(name).map_err(|error| super::named(name, error))?);
        }
        let engine = self.clone();
        Ok(written(move |output| {
            engine.0.store.save(&names, output).map_err(|error| Error::from(error).to_string())?;
            for id in found {
                engine.image_event("save", id.as_str(), id.as_str());
            }
            Ok(())
        }))
    }

    /// Tells of an image, with its labels while it is there.
    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        self.image_event_with(action, id, name, self.image_labels(id));
    }

    /// An image's labels; of one that is not there, none.
    pub(super) fn image_labels(&self, id: &str) -> BTreeMap<String, String> {
        let image = super::parse_id(id).and_then(|id| self.0.store.image(&id).ok());
        image.and_then(|image| image.image.config().config.labels.clone()).unwrap_or_default()
    }

    /// Tells of an image that had these labels.
    pub(super) fn image_event_with(
        &self,
        action: &str,
        id: &str,
        name: &str,
        mut attributes: BTreeMap<String, String>,
    ) {
        attributes.insert("name".to_owned(), name.to_owned());
        self.0.events.publish(crate::events::Event {
            kind: EventKind::Image,
            action: action.to_owned(),
            id: id.to_owned(),
            attributes,
            time: jiff::Timestamp::now(),
        });
    }
}
