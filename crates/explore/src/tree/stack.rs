//! Layer upon layer: listings become events, and what nobody will see again is counted as wasted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Event, Kind, Meta, Node, NodeId, Tree};
use crate::listing::{Entry, Listing};
use crate::{Error, Limits, Result};

const WHITEOUT: &[u8] = b".wh.";
/// Hides all that the lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// AUFS's own files, which say nothing.
const AUFS: &[u8] = b".wh..wh.";

/// Stored bytes, whatever names they have.
#[derive(Debug)]
struct Blob {
    size: u64,
    names: u32,
    layer: u16,
    first: NodeId,
}

/// A tree to which layers are added.
#[derive(Debug)]
pub(crate) struct Stack {
    tree: Tree,
    blobs: Vec<Blob>,
    layer: u16,
    limits: Limits,
    changes: u64,
    steps: u64,
}

/// Bytes that are stored for a place and never seen in the whole image.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// How often they were.
    pub(crate) times: u32,
    pub(crate) bytes: u64,
}

/// What the layers store, and what of it is wasted.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) stored: Vec<u64>,
    pub(crate) wasted: Vec<u64>,
    pub(crate) lost: BTreeMap<NodeId, Lost>,
}

impl Stack {
    pub(crate) fn new(limits: &Limits) -> Self {
        let root = Node {
            name: Arc::default(),
            parent: Tree::ROOT,
            children: BTreeMap::new(),
            events: vec![Event { layer: 0, meta: Some(Meta::implied()) }],
        };
        Self {
            tree: Tree { nodes: vec![root] },
            blobs: Vec::new(),
            layer: 0,
            limits: *limits,
            changes: 0,
            steps: 0,
        }
    }

    /// Puts a layer upon the others; its number is that of the call.
    pub(crate) fn push(&mut self, listing: &Listing) -> Result<()> {
        for entry in listing.iter() {
            let (parent, name) = tarball::split(entry.path);
            if name == OPAQUE {
                if let Some(dir) = self.find(parent) {
                    self.remove_below(dir)?;
                }
            } else if name.starts_with(AUFS) {
                // nothing of the image
            } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
                if let Some(gone) = self.find(&[parent, b"/", hidden].concat()) {
                    self.remove_below(gone)?;
                    self.remove(gone)?;
                }
            } else {
                self.put(&entry)?;
            }
        }
        self.layer += 1;
        Ok(())
    }

    /// The tree, and sums for each of its layers.
    pub(crate) fn finish(self) -> (Tree, Sums) {
        let layers = usize::from(self.layer);
        let mut sums = Sums { stored: vec![0; layers], wasted: vec![0; layers], lost: BTreeMap::new() };
        for blob in &self.blobs {
            sums.stored[usize::from(blob.layer)] += blob.size;
            if blob.names == 0 && blob.size > 0 {
                sums.wasted[usize::from(blob.layer)] += blob.size;
                let lost = sums.lost.entry(blob.first).or_default();
                lost.times += 1;
                lost.bytes += blob.size;
            }
        }
        (self.tree, sums)
    }

    fn find(&self, path: &[u8]) -> Option<NodeId> {
        path.split(|&b| b == b'/')
            .filter(|part| !part.is_empty())
            .try_fold(Tree::ROOT, |at, part| self.tree.node(at).children.get(part).copied())
    }

    /// The place of `path`, made where it is new; directories that it needs and that nothing describes are implied.
    fn place(&mut self, path: &[u8]) -> Result<NodeId> {
        let mut at = Tree::ROOT;
        let mut parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            at = match self.tree.node(at).children.get(part) {
                Some(child) => *child,
                None => self.grow(at, part)?,
            };
            if parts.peek().is_some() && !self.is_here(at) {
                let there = self.tree.at(at, self.layer).filter(|meta| meta.kind == Kind::Directory);
                // A directory on the way is this layer's, too, so that a whiteout does not take it from its files.
                let meta = there.cloned().unwrap_or_else(Meta::implied);
                self.set(at, Some(meta))?;
            }
        }
        Ok(at)
    }

    /// Has this layer a directory there?
    fn is_here(&self, id: NodeId) -> bool {
        let last = self.tree.node(id).events.last().filter(|event| event.layer == self.layer);
        last.and_then(|event| event.meta.as_ref()).is_some_and(|meta| meta.kind == Kind::Directory)
    }

    fn grow(&mut self, parent: NodeId, name: &[u8]) -> Result<NodeId> {
        let id = NodeId::try_from(self.tree.nodes.len()).unwrap_or(NodeId::MAX);
        if u64::from(id) >= self.limits.entries {
            return Err(Error::Limit { what: "number of places in the image", limit: self.limits.entries });
        }
        let name: Arc<[u8]> = name.into();
        self.tree.nodes.push(Node {
            name: Arc::clone(&name),
            parent,
            children: BTreeMap::new(),
            events: Vec::new(),
        });
        self.tree.nodes[parent as usize].children.insert(name, id);
        Ok(id)
    }

    fn put(&mut self, entry: &Entry<'_>) -> Result<()> {
        let id = self.place(entry.path)?;
        let facts = entry.facts;
        let meta = if facts.hard {
            let target = self.find(entry.link).filter(|target| *target != id);
            let target = target.and_then(|target| self.tree.at(target, self.layer)).cloned();
            let Some(meta) = target else {
                let name = tarball::show(entry.path);
                let link = tarball::show(entry.link);
                return Err(Error::Archive(format!(
                    "{name:?} is another name of {link:?}, which is not there"
                )));
            };
            if let Some(blob) = meta.blob {
                self.blobs[blob as usize].names += 1;
            }
            meta
        } else {
            let is_file = facts.kind == Kind::File;
            let blob = is_file.then(|| u32::try_from(self.blobs.len()).unwrap_or(u32::MAX));
            if is_file {
                self.blobs.push(Blob { size: facts.size, names: 1, layer: self.layer, first: id });
            }
            Meta {
                kind: facts.kind,
                mode: facts.mode,
                uid: facts.uid,
                gid: facts.gid,
                size: facts.size,
                link: entry.link.into(),
                content: facts.content,
                extra: facts.extra,
                blob,
            }
        };
        let was_dir = self.tree.at(id, self.layer).is_some_and(|meta| meta.kind == Kind::Directory);
        if meta.kind != Kind::Directory && was_dir {
            self.remove_below(id)?;
        }
        self.set(id, Some(meta))
    }

    /// Takes away what the lower layers have below `dir`; what this layer has put there stays.
    fn remove_below(&mut self, dir: NodeId) -> Result<()> {
        let mut open: Vec<NodeId> = self.tree.children(dir).collect();
        while let Some(id) = open.pop() {
            self.steps += 1;
            if self.steps > self.limits.steps {
                return Err(Error::Limit { what: "number of hidden places", limit: self.limits.steps });
            }
            if self.tree.at(id, self.layer).is_some() {
                open.extend(self.tree.children(id));
                self.remove(id)?;
            }
        }
        Ok(())
    }

    /// Takes away what the lower layers have there.
    fn remove(&mut self, id: NodeId) -> Result<()> {
        let last = self.tree.node(id).events.last();
        if id != Tree::ROOT && last.is_some_and(|event| event.layer < self.layer && event.meta.is_some()) {
            self.set(id, None)?;
        }
        Ok(())
    }

    /// Notes what this layer has there; what it replaces loses a name.
    fn set(&mut self, id: NodeId, meta: Option<Meta>) -> Result<()> {
        let events = &mut self.tree.nodes[id as usize].events;
        let before = events.last().and_then(|event| event.meta.as_ref()).and_then(|meta| meta.blob);
        if let Some(blob) = before {
            let blob = &mut self.blobs[blob as usize];
            blob.names = blob.names.saturating_sub(1);
        }
        let event = Event { layer: self.layer, meta };
        match events.last_mut() {
            Some(last) if last.layer == self.layer => *last = event,
            _ => {
                self.changes += 1;
                if self.changes > self.limits.changes {
                    return Err(Error::Limit { what: "number of changes", limit: self.limits.changes });
                }
                events.push(event);
            }
        }
        Ok(())
    }
}
