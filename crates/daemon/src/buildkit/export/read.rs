//! Exporters' attributes, by name. What isn't known is refused.

use std::collections::HashMap;

use buildkit::Status;
use buildkit::proto::control::Exporter;
use engine::build::{Annotations, Form, ImageExport};
use oci::{Platform, Reference};

use super::super::compression;
use super::{Export, Kind, Push};

/// Attributes that say what is so anyway, and with which value.
const HARMLESS: &[(&str, &str)] = &[
    ("type", "docker"),
    ("unpack", "true"),
    ("unpack", "false"),
    ("store", "true"),
    ("oci-artifact", "false"),
    ("attestation-inline", "true"),
    ("dangling-name-prefix", ""),
    ("prefer-nondist-layers", "false"),
    ("danglingname-prefix", ""),
    ("registry.insecure", "false"),
    ("inline-cache", "false"),
];

/// Reads the exporters of a request. Without any, the result is made and thrown away.
pub(in crate::buildkit) fn read(exporters: &[Exporter]) -> Result<Vec<Export>, Status> {
    exporters.iter().enumerate().map(|(place, exporter)| one(place, exporter)).collect()
}

/// Seconds since 1970.
pub(in crate::buildkit) fn epoch(text: &str) -> Result<i64, Status> {
    let read = text.parse::<i64>().ok().filter(|seconds| (0..=MAX_EPOCH).contains(seconds));
    read.ok_or_else(|| Status::invalid_argument(format!("invalid SOURCE_DATE_EPOCH: {text}")))
}

/// The last second of the year 9999.
const MAX_EPOCH: i64 = 253_402_207_200;

/// One exporter's attributes while they are read.
struct Attrs<'a> {
    kind: &'a str,
    left: HashMap<String, String>,
}

impl Attrs<'_> {
    fn take(&mut self, key: &str) -> Option<String> {
        self.left.remove(key)
    }

    fn wrong(&self, key: &str, value: &str) -> Status {
        Status::invalid_argument(format!("invalid value {key}={value} of exporter {:?}", self.kind))
    }

    fn unsupported(&self, key: &str, value: &str) -> Status {
        Status::unimplemented(format!(
            "attribute {key}={value} of exporter {:?} is not supported by this version of Berth",
            self.kind
        ))
    }

    fn truth(&mut self, key: &str) -> Result<Option<bool>, Status> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("" | "true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(self.wrong(key, other)),
        }
    }

    fn form(&mut self) -> Result<Option<Form>, Status> {
        // every layer is encoded anew, whatever it was pulled as
        self.truth("force-compression")?;
        let (kind, level) = (self.take("compression"), self.take("compression-level"));
        compression::form(&format!("exporter {:?}", self.kind), kind.as_deref(), level.as_deref())
    }

    fn annotations(&mut self) -> Result<Annotations, Status> {
        let mut all = Annotations::default();
        let keys: Vec<String> =
            self.left.keys().filter(|key| key.starts_with("annotation")).cloned().collect();
        for key in keys {
            let value = self.take(&key).unwrap_or_default();
            let unknown = || Status::invalid_argument(format!("invalid annotation {key}"));
            let (place, name) = key.split_once('.').ok_or_else(unknown)?;
            // a platform's name has no dot
            let (place, platform) = match place.split_once('[') {
                None => (place, None),
                Some((place, platform)) => {
                    let platform = platform.strip_suffix(']').ok_or_else(unknown)?;
                    (place, Some(Platform::parse(platform).map_err(Status::invalid_argument)?))
                }
            };
            let name = name.to_owned();
            match place {
                "annotation" | "annotation-manifest" => all.manifest.push((platform, name, value)),
                "annotation-manifest-descriptor" => all.manifest_descriptor.push((platform, name, value)),
                "annotation-index" if platform.is_none() => drop(all.index.insert(name, value)),
                "annotation-index-descriptor" if platform.is_none() => {
                    all.index_descriptor.insert(name, value);
                }
                _ => return Err(unknown()),
            }
        }
        // the order of a hash map is no order
        all.manifest.sort_by(|a, b| a.1.cmp(&b.1));
        all.manifest_descriptor.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(all)
    }
}

fn names(text: &str) -> Result<Vec<Reference>, Status> {
    let mut all: Vec<Reference> = Vec::new();
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let name = Reference::parse(name)
            .map_err(|error| Status::invalid_argument(format!("invalid name {name:?}: {error}")))?;
        if name.digest().is_some() {
            return Err(Status::invalid_argument("build tag cannot contain a digest"));
        }
        let name = name.with_default_tag();
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

fn one(place: usize, exporter: &Exporter) -> Result<Export, Status> {
    let mut attrs = Attrs { kind: &exporter.r#type, left: exporter.attrs.clone() };
    let names = names(&attrs.take("name").unwrap_or_default())?;
    let source_date = attrs.take("source-date-epoch").filter(|text| !text.is_empty());
    let epoch = source_date.map(|text| epoch(&text)).transpose()?;
    let mut image = ImageExport { names, epoch, ..ImageExport::default() };
    let push = attrs.truth("push")?.unwrap_or(false);
    let by_digest = attrs.truth("push-by-digest")?.unwrap_or(false);
    let kind = match exporter.r#type.as_str() {
        "moby" | "image" => Kind::Image(match (push, by_digest) {
            (false, _) => Push::No,
            (true, false) => Push::Names,
            (true, true) => Push::Digest,
        }),
        kind @ ("docker" | "oci") => {
            Kind::Layout { docker: kind == "docker", tar: attrs.truth("tar")?.unwrap_or(true) }
        }
        "local" => Kind::Local { split: attrs.truth("platform-split")? },
        "tar" => Kind::Tar { split: attrs.truth("platform-split")? },
        other => {
            return Err(Status::unimplemented(format!(
                "exporter {other:?} is not supported by this version of Berth"
            )));
        }
    };
    let is_image = matches!(kind, Kind::Image(_) | Kind::Layout { .. });
    if push && (image.names.is_empty() || !matches!(kind, Kind::Image(_))) {
        return Err(Status::invalid_argument("only an image with a name can be pushed"));
    }
    if is_image {
        image.form = attrs.form()?;
        image.oci = attrs.truth("oci-mediatypes")?;
        image.rewrite_timestamp = attrs.truth("rewrite-timestamp")?.unwrap_or(false);
        image.annotations = attrs.annotations()?;
    }
    let odd = attrs.left.iter().find(|(key, value)| !HARMLESS.contains(&(key.as_str(), value.as_str())));
    match odd {
        Some((key, value)) => Err(attrs.unsupported(key, value)),
        None => Ok(Export { kind, image, id: place.to_string() }),
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
        let moby = parse("moby", &[("name", "a:1,b:2,a:1"), ("type", "docker")]).unwrap();
        assert!(moby.needs_image() && !moby.needs_files());
        let names: Vec<String> = moby.image.names.iter().map(Reference::familiar).collect();
        assert_eq!(names, ["a:1", "b:2"]);
        assert!(parse("local", &[]).unwrap().needs_files());
        let oci = parse(
            "oci",
            &[
                ("compression", "zstd"),
                ("compression-level", "7"),
                ("annotation.a.b", "1"),
                ("annotation-manifest[linux/arm64].c", "2"),
                ("annotation-index.d", "3"),
                ("rewrite-timestamp", "true"),
                ("tar", "false"),
            ],
        )
        .unwrap();
        assert_eq!(oci.kind, Kind::Layout { docker: false, tar: false });
        assert_eq!(oci.image.form, Some(Form::Zstd(Some(7))));
        assert_eq!(oci.image.annotations.manifest.len(), 2);
        assert_eq!(oci.image.annotations.index["d"], "3");
        assert!(oci.image.rewrite_timestamp);
        let pushed = parse("image", &[("name", "h:1/a"), ("push", "true"), ("push-by-digest", "true")]);
        assert_eq!(pushed.unwrap().kind, Kind::Image(Push::Digest));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (kind, attr, why) in [
            ("ftp", ("name", "a"), "exporter \"ftp\""),
            ("image", ("compression", "estargz"), "attribute compression=estargz"),
            ("image", ("compression-level", "10"), "compression-level=10"),
            ("image", ("push", "true"), "only an image with a name"),
            ("image", ("push", "perhaps"), "push=perhaps"),
            ("image", ("name", "A"), "invalid name \"A\""),
            ("oci", ("annotation[x.y", "1"), "invalid annotation annotation[x.y"),
            ("local", ("oci-mediatypes", "true"), "attribute oci-mediatypes=true"),
            ("tar", ("source-date-epoch", "soon"), "invalid SOURCE_DATE_EPOCH: soon"),
        ] {
            let error = parse(kind, &[attr]).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
