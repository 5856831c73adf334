//! The whole analysis as JSON. What `dive --json` has too, has its names there; `docs/image-explore.md` describes it.

use std::io::Write;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use crate::Image;
use crate::tree::{Change, Kind, Meta, NodeId, Tree};

/// The version of the schema; it changes when a field goes or means something else.
pub const SCHEMA: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    schema: u32,
    layer: Vec<LayerReport<'a>>,
    image: ImageReport<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerReport<'a> {
    index: usize,
    digest_id: &'a str,
    command: &'a str,
    created: &'a str,
    size_bytes: u64,
    wasted_bytes: u64,
    added: u64,
    modified: u64,
    removed: u64,
    file_list: Files<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageReport<'a> {
    id: &'a str,
    names: &'a [String],
    platform: String,
    size_bytes: u64,
    inefficient_bytes: u64,
    efficiency_score: f64,
    user_wasted_percent: f64,
    file_reference: Vec<Reference>,
}

/// A place whose bytes are stored in vain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    count: u32,
    size_bytes: u64,
    file: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    path: String,
    change: &'static str,
    kind: &'static str,
    size: u64,
    file_mode: u16,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    link_name: &'a str,
}

/// What a layer has, written as it is looked up: a list of a million files is never held.
#[derive(Debug)]
struct Files<'a> {
    tree: &'a Tree,
    layer: u16,
}

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for id in 1..self.tree.len() as NodeId {
            let touched = self.tree.event(id, self.layer).and(self.tree.change(id, self.layer));
            if let (Some(change), Some(meta)) = (touched, self.tree.shown(id, self.layer)) {
                let link = tarball::show(&meta.link);
                list.serialize_element(&file(self.tree, id, change, meta, &link))?;
            }
        }
        list.end()
    }
}

fn file<'a>(tree: &Tree, id: NodeId, change: Change, meta: &Meta, link: &'a str) -> File<'a> {
    File {
        path: tree.path(id),
        change: match change {
            Change::Unchanged => "unchanged",
            Change::Added => "added",
            Change::Modified => "modified",
            Change::Removed => "removed",
        },
        kind: match meta.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
            Kind::Char => "char",
            Kind::Block => "block",
            Kind::Fifo => "fifo",
        },
        size: meta.size,
        file_mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        link_name: link,
    }
}

/// Writes the report, with a line break at its end.
///
/// # Errors
/// What the writer says.
pub fn write(image: &Image, mut out: impl Write) -> std::io::Result<()> {
    let layers = image.layers.iter().enumerate().map(|(index, layer)| LayerReport {
        index,
        digest_id: &layer.digest,
        command: &layer.command,
        created: &layer.created,
        size_bytes: layer.size,
        wasted_bytes: layer.wasted,
        added: layer.added,
        modified: layer.modified,
        removed: layer.removed,
        file_list: Files { tree: &image.tree, layer: u16::try_from(index).unwrap_or(u16::MAX) },
    });
    let references = image.wasted.iter().map(|wasted| Reference {
        count: wasted.count,
        size_bytes: wasted.bytes,
        file: image.tree.path(wasted.id),
    });
    let report = Report {
        schema: SCHEMA,
        layer: layers.collect(),
        image: ImageReport {
            id: &image.id,
            names: &image.names,
            platform: image.platform.to_string(),
            size_bytes: image.size(),
            inefficient_bytes: image.wasted_bytes(),
            efficiency_score: image.efficiency(),
            user_wasted_percent: image.user_wasted(),
            file_reference: references.collect(),
        },
    };
    serde_json::to_writer(&mut out, &report)?;
    out.write_all(b"\n")
}
