//! `import`: a root file system's tar, sent by the client or fetched from a URL, becomes an image of one layer.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::Bytes;
use registry::client::Download;
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use super::{ImportOptions, ImportSource, Progress};
use crate::error::{Error, Kind, Result};
use crate::{Engine, Stream};

/// News that may wait for a slow client.
const BACKLOG: usize = 64;
/// Pieces that may wait to be unpacked.
const AHEAD: usize = 16;
/// Shortest time between two numbers, as in a pull.
const PACE: Duration = Duration::from_millis(100);

type News = mpsc::Sender<Result<Progress>>;

impl Engine {
    /// Makes an image of one layer out of a root file system's tar. The last message is the image's id.
    ///
    /// # Errors
    /// A change is not understood; the reference is malformed; the URL can't be fetched. In the stream: the archive
    /// is malformed.
    pub async fn image_import(
        &self,
        source: ImportSource,
        options: ImportOptions,
    ) -> Result<Stream<Progress>> {
        let mut wanted = wanted(&options)?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        if wanted.message.is_empty() {
            let from = match &source {
                ImportSource::Client(_) => "-",
                ImportSource::Url(url) => url,
            };
            wanted.message = format!("Imported from {from}");
        }
        let engine = self.clone();
        match source {
            ImportSource::Client(archive) => {
                tokio::task::spawn_blocking(move || {
                    engine.import(&mut SyncIoBridge::new(archive), wanted, &sender);
                });
            }
            ImportSource::Url(url) => {
                let url = if url.contains("://") { url } else { format!("http://{url}") };
                let client = &self.0.registries.current().client;
                let download = client.fetch(&url).await.map_err(|error| failed(&url, error))?;
                // the client is there, and has not heard anything yet
                let _ = sender.try_send(Ok(Progress::Message(format!("Downloading from {url}"))));
                let mut arriving = Arriving::start(download, sender.clone());
                tokio::task::spawn_blocking(move || engine.import(&mut arriving, wanted, &sender));
            }
        }
        Ok(super::archive::stream(receiver))
    }

    fn import(&self, archive: &mut (dyn Read + Send), wanted: store::ImportOptions, news: &News) {
        let name = wanted.name.as_ref().map(oci::Reference::familiar);
        let result = self.0.store.import(archive, wanted).map_err(Error::from).map(|id| {
            if let Some(name) = &name {
                self.image_event("tag", id.as_str(), name);
            }
            self.image_event("import", id.as_str(), id.as_str());
            Progress::Message(id.as_str().to_owned())
        });
        // the client may have gone
        let _ = news.blocking_send(result);
    }
}

/// What a server does not give, in Docker's words.
fn failed(url: &str, error: registry::client::Error) -> Error {
    let Some(refusal) = error.refusal() else { return Error::system(error.to_string()).with_source(error) };
    let kind = match refusal.status {
        404 => Kind::NotFound,
        401 | 403 => Kind::Unauthorized,
        400..=499 => Kind::BadParameter,
        _ => Kind::System,
    };
    Error::system(format!("failed to GET {url} with status {}", refusal.status))
        .of_kind(kind)
        .with_source(error)
}

/// A download, read by a thread that may block; its end is that of whoever waits for it.
struct Arriving {
    pieces: mpsc::Receiver<registry::client::Result<Bytes>>,
    piece: Bytes,
    total: u64,
    current: u64,
    told: Instant,
    news: News,
}

impl Arriving {
    fn start(mut download: Download, news: News) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let total = download.length().unwrap_or(0);
        tokio::spawn(async move {
            while let Some(piece) = download.chunk().await.transpose() {
                let last = piece.is_err();
                if sender.send(piece).await.is_err() || last {
                    return;
                }
            }
        });
        Self { pieces, piece: Bytes::new(), total, current: 0, told: Instant::now(), news }
    }

    /// Now and then, and at the end.
    fn tell(&mut self) {
        if self.told.elapsed() < PACE && self.current < self.total {
            return;
        }
        self.told = Instant::now();
        let (id, status) = (String::new(), "Importing".to_owned());
        let progress = Progress::Layer { id, status, current: self.current, total: self.total };
        // a slow client does not hold it up
        let _ = self.news.try_send(Ok(progress));
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.news.is_closed() {
                return Err(io::Error::other("nobody waits for it any more"));
            }
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
            }
            self.current += self.piece.len() as u64;
            self.tell();
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

fn wanted(options: &ImportOptions) -> Result<store::ImportOptions> {
    let reference = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
    let name = if options.repository.is_empty() {
        None
    } else {
        let name = oci::Reference::parse(&options.repository).map_err(reference)?;
        if name.digest().is_some() {
            return Err(Error::bad_parameter("cannot import digest reference"));
        }
        Some(if options.tag.is_empty() {
            name.with_default_tag()
        } else {
            name.with_tag(&options.tag).map_err(reference)?
        })
    };
    let platform = if options.platform.is_empty() {
        None
    } else {
        let platform = oci::Platform::parse(&options.platform).map_err(Error::bad_parameter)?;
        if platform.os != "linux" {
            return Err(Error::bad_parameter(format!("operating system is not supported: {}", platform.os)));
        }
        Some(platform)
    };
    let mut config = oci::image::RunConfig::default();
    for change in &options.changes {
        super::change::apply(&mut config, change)?;
    }
    Ok(store::ImportOptions { name, config, message: options.message.clone(), platform })
}
