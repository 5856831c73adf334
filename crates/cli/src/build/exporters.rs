//! `--output`, `--push` and `--load`: where results go.

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal as _;
use std::path::PathBuf;

use buildkit::proto::control::Exporter;

use super::services::Output;
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::opts::kv;

/// Where results go.
#[derive(Debug, Default)]
pub(super) struct Exporters {
    /// As the daemon is told.
    pub(super) wire: Vec<Exporter>,
    /// Those that come to this end.
    pub(super) outputs: BTreeMap<String, Output>,
}

/// Reads the flags.
pub(super) fn exporters(matches: &Matches) -> Result<Exporters> {
    let tags: Vec<String> = matches.all("tag").iter().map(|tag| name(tag)).collect::<Result<_>>()?;
    let mut all = Exporters::default();
    for text in matches.all("output") {
        all.add(text, &tags)?;
    }
    if matches.bool("push") {
        if tags.is_empty() {
            return Err(Error::said("tag is needed when pushing to registry"));
        }
        all.add("type=image,push=true", &tags)?;
    }
    if all.wire.is_empty() || matches.bool("load") {
        all.add("type=moby", &tags)?;
    }
    annotate(&mut all, &matches.all("annotation"))?;
    source_date(&mut all);
    Ok(all)
}

/// `--annotation [kind[platform],…:]key=value`: attributes of every exporter of images, as buildx writes them.
fn annotate(all: &mut Exporters, annotations: &[&str]) -> Result<()> {
    const KINDS: [&str; 4] = ["manifest", "index", "manifest-descriptor", "index-descriptor"];
    for text in annotations {
        let (whole, value) = text
            .split_once('=')
            .ok_or_else(|| Error::said(format!("invalid annotation {text:?}: expected key=value")))?;
        let kind = |place: &str| KINDS.contains(&place.split('[').next().unwrap_or_default());
        let (places, key) = match whole.split_once(':') {
            Some((places, key)) if places.split(',').all(kind) => (places, key),
            _ => ("manifest", whole),
        };
        if key.is_empty() {
            return Err(Error::said(format!("invalid annotation {text:?}: the key is empty")));
        }
        let images = |exporter: &&mut Exporter| !matches!(exporter.r#type.as_str(), "local" | "tar");
        for exporter in all.wire.iter_mut().filter(images) {
            for place in places.split(',') {
                exporter.attrs.insert(format!("annotation-{place}.{key}"), value.to_owned());
            }
        }
    }
    Ok(())
}

/// What the user's environment says of the time counts for what is given out, too.
fn source_date(all: &mut Exporters) {
    let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") else { return };
    for exporter in all.wire.iter_mut().filter(|_| !epoch.is_empty()) {
        exporter.attrs.entry("source-date-epoch".to_owned()).or_insert_with(|| epoch.clone());
    }
}

/// An image's name, with its tag.
fn name(text: &str) -> Result<String> {
    let reference = oci::Reference::parse(text)
        .map_err(|error| Error::said(format!("invalid tag \"{text}\": {error}")))?;
    if reference.digest().is_some() {
        return Err(Error::said(format!(
            "invalid tag \"{text}\": refusing to create a tag with a digest reference"
        )));
    }
    Ok(reference.with_default_tag().to_string())
}

impl Exporters {
    fn add(&mut self, text: &str, tags: &[String]) -> Result<()> {
        let wrong = |why: &str| Error::said(format!("invalid output {text}: {why}"));
        let fields = kv::csv(text).map_err(|error| wrong(&error))?;
        let mut attrs: HashMap<String, String> = match fields.as_slice() {
            // a place alone
            [place] if !place.contains('=') && place == "-" => pairs(&["type=tar", "dest=-"]),
            [place] if !place.contains('=') => {
                HashMap::from([("type".into(), "local".into()), ("dest".into(), place.clone())])
            }
            fields => {
                if let Some(field) = fields.iter().find(|field| !field.contains('=')) {
                    return Err(wrong(&format!("invalid field '{field}' must be a key=value pair")));
                }
                pairs(&fields.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        let mut kind = attrs.remove("type").ok_or_else(|| wrong("type is required"))?;
        let dest = attrs.remove("dest");
        let id = self.wire.len().to_string();
        let file = |dest: Option<String>| match dest.as_deref() {
            None | Some("-") if std::io::stdout().is_terminal() => {
                Err(wrong("dest file is required: refusing to write to the console"))
            }
            None | Some("-") => Ok(Output::Stdout),
            Some(path) => Ok(Output::File(PathBuf::from(path))),
        };
        match kind.as_str() {
            "registry" => {
                "image".clone_into(&mut kind);
                attrs.insert("push".to_owned(), "true".to_owned());
            }
            "local" => {
                let path = dest.ok_or_else(|| wrong("dest is required for local output"))?;
                self.outputs.insert(id, Output::Directory(PathBuf::from(path)));
            }
            "tar" => drop(self.outputs.insert(id, file(dest)?)),
            // an image layout as a directory
            "oci" | "docker" if matches!(attrs.get("tar").map(String::as_str), Some("false" | "0")) => {
                let path = dest.ok_or_else(|| wrong("dest is required for a directory"))?;
                self.outputs.insert(id, Output::Directory(PathBuf::from(path)));
            }
            "oci" => drop(self.outputs.insert(id, file(dest)?)),
            // without a place it stays with the daemon
            "docker" if dest.is_some() => drop(self.outputs.insert(id, file(dest)?)),
            "docker" => "moby".clone_into(&mut kind),
            "moby" | "image" => {}
            other => return Err(wrong(&format!("exporter {other:?} could not be found"))),
        }
        if !matches!(kind.as_str(), "local" | "tar") && !tags.is_empty() {
            attrs.entry("name".to_owned()).or_insert_with(|| tags.join(","));
        }
        self.wire.push(Exporter { r#type: kind, attrs });
        Ok(())
    }
}

fn pairs(fields: &[&str]) -> HashMap<String, String> {
    kv::map(fields).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(text: &str) -> Result<Exporters, String> {
        let mut all = Exporters::default();
        all.add(text, &["docker.io/library/a:b".to_owned()]).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn outputs() {
        let local = add("out").unwrap();
        assert_eq!(local.wire[0].r#type, "local");
        assert_eq!(local.outputs["0"], Output::Directory("out".into()));
        let tar = add("type=tar,dest=x.tar").unwrap();
        assert_eq!((tar.wire[0].r#type.as_str(), &tar.outputs["0"]), ("tar", &Output::File("x.tar".into())));
        let pushed = add("type=registry").unwrap();
        assert_eq!(pushed.wire[0].attrs["push"], "true");
        assert_eq!(pushed.wire[0].attrs["name"], "docker.io/library/a:b");
        assert!(add("type=local").unwrap_err().contains("dest is required"));
        assert!(add("type=ftp").unwrap_err().contains("\"ftp\""));
        assert!(add("type=tar,x").unwrap_err().contains("'x'"));
    }

    #[test]
    fn annotations() {
        let mut all = add("type=oci,dest=x").unwrap();
        annotate(&mut all, &["a=1", "index,manifest[linux/arm64]:b=2:3", "x:y=z"]).unwrap();
        let attrs = &all.wire[0].attrs;
        assert_eq!(attrs["annotation-manifest.a"], "1");
        assert_eq!(attrs["annotation-index.b"], "2:3");
        assert_eq!(attrs["annotation-manifest[linux/arm64].b"], "2:3");
        assert_eq!(attrs["annotation-manifest.x:y"], "z");
        assert!(annotate(&mut all, &["a"]).unwrap_err().to_string().contains("key=value"));
        let directory = add("type=oci,dest=x,tar=false").unwrap();
        assert_eq!(directory.outputs["0"], Output::Directory("x".into()));
    }
}
