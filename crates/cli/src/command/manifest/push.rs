//! `berth manifest push`

use oci::{Digest, Document, Platform, Reference, media_type};
use serde::Serialize;

use super::ask::{Asker, decode};
use super::inspect::encode_by;
use super::store::Entry;
use super::{INSECURE, parse, store};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

pub(super) static COMMAND: Command =
    Command::new("push", "[OPTIONS] MANIFEST_LIST", "Push a list of manifests", Arity::Exactly(1), run)
        .flags(&[&[INSECURE, Flag::bool("purge", "Remove the local list once it is pushed").short('p')]]);

/// The list as it is pushed, fields in the order of Docker's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestList<'a> {
    schema_version: u32,
    pub(super) media_type: &'static str,
    manifests: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a Digest,
    platform: ListedPlatform<'a>,
}

#[derive(Serialize)]
struct ListedPlatform<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(rename = "os.features", skip_serializing_if = "<[_]>::is_empty")]
    os_features: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

impl<'a> ManifestList<'a> {
    /// A list of OCI's manifests is an index, any other is Docker's.
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        const NONE: &Platform = &Platform {
            architecture: String::new(),
            os: String::new(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        };
        let is_oci =
            entries.first().is_some_and(|entry| entry.descriptor.media_type == media_type::OCI_MANIFEST);
        let listed = |entry: &'a Entry| {
            let platform = entry.descriptor.platform.as_ref().unwrap_or(NONE);
            Listed {
                media_type: &entry.descriptor.media_type,
                size: entry.descriptor.size,
                digest: &entry.descriptor.digest,
                platform: ListedPlatform {
                    architecture: &platform.architecture,
                    os: &platform.os,
                    os_version: platform.os_version.as_deref(),
                    os_features: &platform.os_features,
                    variant: platform.variant.as_deref(),
                },
            }
        };
        Self {
            schema_version: 2,
            media_type: if is_oci { media_type::OCI_INDEX } else { media_type::DOCKER_MANIFEST_LIST },
            manifests: entries.iter().map(listed).collect(),
        }
    }
}

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let list = parse(matches.arg(0))?;
    let store = store(context);
    let entries = store.list(&list)?;
    if entries.is_empty() {
        return Err(Error::said(format!("No such manifest: {list}")));
    }
    let images = entries.iter().map(|entry| check(&list, entry)).collect::<Result<Vec<_>>>()?;
    let mut asker = Asker::new(context, matches.bool("insecure"));
    for (image, entry) in images.iter().zip(&entries) {
        if image.path() != list.path() {
            copy(context, &list, image, entry, &mut asker)?;
        }
    }
    let pushed = ManifestList::new(&entries);
    // Three spaces, as Docker encodes it: the same list has the same digest.
    let bytes = encode_by(&pushed, "   ")?;
    let digest = asker.put(&list, pushed.media_type, bytes.as_bytes())?;
    context.out.line(digest.as_str())?;
    if matches.bool("purge") { store.remove(&list).map(drop) } else { Ok(()) }
}

/// What must be true of a manifest before anything is sent.
fn check(list: &Reference, entry: &Entry) -> Result<Reference> {
    let image = parse(&entry.reference)?;
    let platform = entry.descriptor.platform.as_ref();
    if platform.is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty()) {
        return Err(Error::said(format!(
            "manifest {} must have an OS and Architecture to be pushed to a registry",
            entry.reference
        )));
    }
    if image.domain() != list.domain() {
        return Err(Error::said(format!(
            "cannot use source images from a different registry than the target image: {} != {}",
            image.domain(),
            list.domain()
        )));
    }
    Ok(image)
}

/// A manifest of another repository goes to the list's, and its blobs are made known there.
fn copy(
    context: &Context<'_>,
    list: &Reference,
    image: &Reference,
    entry: &Entry,
    asker: &mut Asker<'_>,
) -> Result<()> {
    let bytes = decode(&entry.raw)?;
    let document = Document::parse(&bytes).map_err(|error| Error::said(format!("{image}: {error}")))?;
    let Document::Manifest(manifest) = document else {
        return Err(Error::said(format!("{image} is a manifest list")));
    };
    for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
        // What lies elsewhere by design is not the registry's.
        if blob.urls.is_empty() {
            asker.mount(list, &blob.digest, image.path())?;
        }
    }
    let target = list.clone().with_digest(entry.descriptor.digest.clone());
    let digest = asker.put(&target, &entry.descriptor.media_type, &bytes)?;
    context.out.line(&format!("Pushed ref {target} with digest: {digest}"))
}
