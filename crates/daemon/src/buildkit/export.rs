//! What becomes of a result.

use std::collections::HashMap;

use buildkit::Status;
use buildkit::proto::control::Exporter;
use buildkit::session::Session;
use engine::build::RemoteBuilt;
use engine::image::PushOptions;
use futures_util::StreamExt as _;

use super::lent::credentials;
use crate::app::App;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Export {
    kind: Kind,
    names: Vec<String>,
    /// The client's number for it.
    id: String,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An image here, and in its registry if it is pushed.
    Image { push: bool },
    /// An archive of an image for the client.
    Archive,
    /// The files, for a directory of the client's.
    Local,
    /// The files, in an archive for the client.
    Tar,
}

/// Attributes that say what is so anyway, and with which value.
const HARMLESS: &[(&str, &str)] = &[
    ("type", "docker"),
    ("unpack", "true"),
    ("store", "true"),
    ("oci-mediatypes", "false"),
    ("tar", "true"),
];

/// Reads the exporters of a request. Without any, the result is made and thrown away.
pub(super) fn read(exporters: &[Exporter]) -> Result<Vec<Export>, Status> {
    exporters.iter().enumerate().map(|(place, exporter)| one(place, exporter)).collect()
}

fn one(place: usize, exporter: &Exporter) -> Result<Export, Status> {
    let mut attrs = exporter.attrs.clone();
    let names = attrs.remove("name").unwrap_or_default();
    let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let truth =
        |value: Option<String>| value.is_some_and(|value| matches!(value.as_str(), "" | "true" | "1"));
    let push = truth(attrs.remove("push"));
    let kind = match exporter.r#type.as_str() {
        "moby" | "image" => Kind::Image { push },
        "docker" | "oci" => Kind::Archive,
        "local" => Kind::Local,
        "tar" => Kind::Tar,
        other => {
            return Err(Status::unimplemented(format!(
                "exporter {other:?} is not supported by this version of Berth"
            )));
        }
    };
    if push && (names.is_empty() || !matches!(kind, Kind::Image { .. })) {
        return Err(Status::invalid_argument("only an image with a name can be pushed"));
    }
    let odd = attrs.iter().find(|(key, value)| !HARMLESS.contains(&(key.as_str(), value.as_str())));
    match odd {
        Some((key, value)) => Err(Status::unimplemented(format!(
            "attribute {key}={value} of exporter {:?} is not supported by this version of Berth",
            exporter.r#type
        ))),
        None => Ok(Export { kind, names, id: place.to_string() }),
    }
}

impl Export {
    /// The image's names.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Whether an image must be made.
    pub(super) fn needs_image(&self) -> bool {
        matches!(self.kind, Kind::Image { .. } | Kind::Archive)
    }

    /// Whether the files are needed.
    pub(super) fn needs_files(&self) -> bool {
        matches!(self.kind, Kind::Local | Kind::Tar)
    }

    /// Does what is left to do when the build is over.
    pub(super) async fn deliver(
        &self,
        app: &App,
        session: &Session,
        built: &RemoteBuilt,
        answer: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        let internal = |error: engine::Error| Status::unknown(error.to_string());
        match self.kind {
            Kind::Image { push } => {
                if !self.names.is_empty() {
                    answer.insert("image.name".to_owned(), self.names.join(","));
                }
                for name in self.names.iter().filter(|_| push) {
                    self.push(app, session, name).await?;
                }
                Ok(())
            }
            Kind::Archive => {
                let image = built.image.as_ref().map(|id| id.as_str().to_owned());
                let names = if self.names.is_empty() { image.into_iter().collect() } else { self.names() };
                let archive = app.engine.image_save(names).await.map_err(internal)?;
                session.send_stream(Some(&self.id), &[], archive).await
            }
            Kind::Local => {
                let files = built.files().map_err(internal)?;
                session.send_dir(Some(&self.id), &[], files).await
            }
            Kind::Tar => {
                let archive = built.archive().map_err(internal)?;
                session.send_stream(Some(&self.id), &[], archive).await
            }
        }
    }

    async fn push(&self, app: &App, session: &Session, name: &str) -> Result<(), Status> {
        let wrong = |error: oci::ReferenceError| Status::invalid_argument(format!("{name}: {error}"));
        let reference = oci::Reference::parse(name).map_err(wrong)?.with_default_tag();
        let options = PushOptions {
            image: reference.name(),
            tag: reference.tag().unwrap_or_default().to_owned(),
            platform: String::new(),
            credentials: credentials(session, reference.domain()).await?,
        };
        let failed = |error: engine::Error| Status::unknown(format!("push {name}: {error}"));
        let mut progress = app.engine.image_push(options).await.map_err(failed)?;
        while let Some(step) = progress.next().await {
            step.map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, attrs: &[(&str, &str)]) -> Result<Export, Status> {
        let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        one(0, &Exporter { r#type: kind.into(), attrs })
    }

    #[test]
    fn what_an_exporter_needs() {
        let moby = parse("moby", &[("name", "a:1,b:2"), ("type", "docker")]).unwrap();
        assert!(moby.needs_image() && !moby.needs_files());
        assert_eq!(moby.names(), ["a:1", "b:2"]);
        assert!(parse("local", &[]).unwrap().needs_files());
        for (kind, attr, why) in [
            ("ftp", ("name", "a"), "exporter \"ftp\""),
            ("image", ("compression", "zstd"), "attribute compression=zstd"),
            ("image", ("push", "true"), "only an image with a name"),
        ] {
            let error = parse(kind, &[attr]).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
