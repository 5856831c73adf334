//! What becomes of a result.

mod read;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit::session::Session;
use buildkit::{Code, Status};
use engine::build::{Exported, ImageExport, RemoteBuilt};
use engine::image::{Progress, PushOptions};
use futures_util::StreamExt as _;
use oci::{Descriptor, Digest, Reference};

use super::lent::credentials;
use crate::app::App;

pub(super) use read::{epoch, read};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Export {
    kind: Kind,
    image: ImageExport,
    /// The client's number for it.
    id: String,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An image here.
    Image(Push),
    /// An image layout for the client, as an archive or a directory; for Docker's `load`, too.
    Layout { docker: bool, tar: bool },
    /// The files, for a directory of the client's; whether platforms are in directories of their own.
    Local { split: Option<bool> },
    /// The files, in an archive for the client.
    Tar { split: Option<bool> },
}

/// Whether an image goes to its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    /// It stays here.
    No,
    /// Under its names.
    Names,
    /// Without any.
    Digest,
}

fn unknown(error: engine::Error) -> Status {
    Status::unknown(error.to_string())
}

/// A client that has no such service has not asked for what its exporter gives.
fn taken(done: Result<(), Status>) -> Result<(), Status> {
    done.map_err(|status| match status.code() {
        Code::Unimplemented => Status::failed_precondition(format!(
            "the client takes no result of this kind: {}",
            status.message()
        )),
        _ => status,
    })
}

impl Export {
    /// Whether an image must be made.
    pub(super) fn needs_image(&self) -> bool {
        matches!(self.kind, Kind::Image(_) | Kind::Layout { .. })
    }

    /// Whether the files are needed.
    pub(super) fn needs_files(&self) -> bool {
        matches!(self.kind, Kind::Local { .. } | Kind::Tar { .. })
    }

    /// Does what is left to do when the build is over. `epoch` is the build's, for want of the exporter's own.
    pub(super) async fn deliver(
        &self,
        app: &App,
        session: &Session,
        built: &Arc<RemoteBuilt>,
        epoch: Option<i64>,
        answer: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        let image = ImageExport { epoch: self.image.epoch.or(epoch), ..self.image.clone() };
        let exporter = Some(self.id.as_str());
        match self.kind {
            Kind::Image(push) => self.here(app, session, built, image, push, answer).await,
            Kind::Layout { docker, tar } => {
                let made = app.engine.export_layout(Arc::clone(built), image, docker).await;
                let (exported, layout) = made.map_err(unknown)?;
                self.told(&exported, answer);
                if tar {
                    return taken(session.send_stream(exporter, &[], app.engine.archive(layout)).await);
                }
                let open = std::fs::File::open(layout.path());
                let dir =
                    open.map_err(|error| Status::internal(format!("open the image layout: {error}")))?;
                taken(session.send_dir(exporter, &[], dir.into()).await)
            }
            Kind::Local { split } => {
                let files = app.engine.export_files(Arc::clone(built), split).await.map_err(unknown)?;
                taken(session.send_dir(exporter, &[], files.directory().map_err(unknown)?).await)
            }
            Kind::Tar { split } => {
                let files = app.engine.export_files(Arc::clone(built), split).await.map_err(unknown)?;
                let archive = files.archive(image.epoch).map_err(unknown)?;
                taken(session.send_stream(exporter, &[], archive).await)
            }
        }
    }

    async fn here(
        &self,
        app: &App,
        session: &Session,
        built: &Arc<RemoteBuilt>,
        mut image: ImageExport,
        push: Push,
        answer: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        if push == Push::Digest {
            image.names.clear();
        }
        let mut exported = app.engine.export_here(Arc::clone(built), image).await.map_err(unknown)?;
        let by_digest = (push == Push::Digest).then(|| exported.image.as_str().to_owned());
        for name in self.image.names.iter().filter(|_| push != Push::No) {
            let pushed = Self::push(app, session, name, by_digest.clone()).await?;
            exported.top = exported.top.or(pushed);
        }
        self.told(&exported, answer);
        Ok(())
    }

    /// As BuildKit tells it.
    fn told(&self, exported: &Exported, answer: &mut HashMap<String, String>) {
        let mut tell = |key: &str, value: String| drop(answer.insert(key.to_owned(), value));
        if !self.image.names.is_empty() {
            let names: Vec<String> = self.image.names.iter().map(ToString::to_string).collect();
            tell("image.name", names.join(","));
        }
        tell("containerimage.config.digest", exported.image.as_str().to_owned());
        let Some(top) = &exported.top else {
            // an image that no registry has a name for
            return tell("containerimage.digest", exported.image.as_str().to_owned());
        };
        tell("containerimage.digest", top.digest.as_str().to_owned());
        if let Ok(descriptor) = serde_json::to_vec(top) {
            tell("containerimage.descriptor", STANDARD.encode(descriptor));
        }
    }

    /// Pushes one name, and says what the registry has now.
    async fn push(
        app: &App,
        session: &Session,
        name: &Reference,
        by_digest: Option<String>,
    ) -> Result<Option<Descriptor>, Status> {
        let options = PushOptions {
            image: name.name(),
            tag: name.tag().unwrap_or_default().to_owned(),
            platform: String::new(),
            by_digest,
            credentials: credentials(session, name.domain()).await?,
        };
        let failed = |error: engine::Error| Status::unknown(format!("push {}: {error}", name.familiar()));
        let mut progress = app.engine.image_push(options).await.map_err(failed)?;
        let mut pushed = None;
        while let Some(step) = progress.next().await {
            if let Progress::Pushed { digest, size, media_type, .. } = step.map_err(failed)? {
                let digest: Option<Digest> = digest.parse().ok();
                pushed = digest.map(|digest| Descriptor::new(&media_type, digest, size));
            }
        }
        Ok(pushed)
    }
}
