//! All places of all layers in one tree. Each place has the events that layers put there, and from them follows
//! what is there, and what changed, as seen from any layer.

mod stack;
pub(crate) mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use stack::Stack;

/// A place in the tree; the root is 0, and a parent's number is less than its children's.
pub type NodeId = u32;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// The letter of `ls -l`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Symlink => 'l',
            Self::Char => 'c',
            Self::Block => 'b',
            Self::Fifo => 'p',
        }
    }
}

/// What lies at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission and set-id bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes that the layer stores for it; another name of a file has those of the file.
    pub size: u64,
    /// Target of a symbolic link.
    pub link: Box<[u8]>,
    /// Tells contents apart.
    content: u64,
    /// Tells extended attributes and device numbers apart.
    extra: u64,
    /// The stored bytes, counted once for all names of a file.
    blob: Option<u32>,
}

impl Meta {
    /// A directory that no layer describes.
    fn implied() -> Self {
        let link = Box::default();
        Self {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            link,
            content: 0,
            extra: 0,
            blob: None,
        }
    }

    /// Alike for whoever looks into the image; times don't count.
    fn is_like(&self, other: &Self) -> bool {
        let facts = |meta: &Self| (meta.kind, meta.mode, meta.uid, meta.gid, meta.content, meta.extra);
        facts(self) == facts(other) && self.link == other.link
    }
}

/// What a layer did at a place.
#[derive(Clone, Debug)]
pub struct Event {
    /// The layer's number, from 0.
    pub layer: u16,
    /// What it put there; `None`: it removed what was there.
    pub meta: Option<Meta>,
}

/// How a place differs from what the lower layers have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// As before, whether the layer has it again or not.
    Unchanged,
    /// New.
    Added,
    /// Content, kind, owner, mode, link or attributes differ.
    Modified,
    /// Gone.
    Removed,
}

/// A set of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes(u8);

impl Changes {
    /// All four.
    pub const ALL: Self = Self(15);
    /// None.
    pub const NONE: Self = Self(0);

    fn bit(change: Change) -> u8 {
        1 << change as u8
    }

    /// Is it in the set?
    #[must_use]
    pub fn has(self, change: Change) -> bool {
        self.0 & Self::bit(change) != 0
    }

    /// The set with `change` in when it was out, and the other way round.
    #[must_use]
    pub fn toggled(self, change: Change) -> Self {
        Self(self.0 ^ Self::bit(change))
    }

    /// The set with all of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Change> for Changes {
    fn from(change: Change) -> Self {
        Self(Self::bit(change))
    }
}

#[derive(Debug)]
struct Node {
    name: Arc<[u8]>,
    parent: NodeId,
    children: BTreeMap<Arc<[u8]>, NodeId>,
    events: Vec<Event>,
}

/// The tree.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// The root directory.
    pub const ROOT: NodeId = 0;

    /// Number of places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the root is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The last part of its path, for people.
    #[must_use]
    pub fn name(&self, id: NodeId) -> String {
        tarball::show(&self.node(id).name)
    }

    /// The directory that it is in; the root is in itself.
    #[must_use]
    pub fn parent(&self, id: NodeId) -> NodeId {
        self.node(id).parent
    }

    /// The whole path from `/`, for people.
    #[must_use]
    pub fn path(&self, id: NodeId) -> String {
        let mut parts = Vec::new();
        let mut at = id;
        while at != Self::ROOT {
            parts.push(self.name(at));
            at = self.parent(at);
        }
        parts.push(String::new());
        parts.reverse();
        if parts.len() == 1 { "/".to_owned() } else { parts.join("/") }
    }

    /// Entries of a directory in any layer, by name.
    pub fn children(&self, id: NodeId) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.node(id).children.values().copied()
    }

    /// What the layers did there, lowest first.
    #[must_use]
    pub fn events(&self, id: NodeId) -> &[Event] {
        &self.node(id).events
    }

    /// What a container whose topmost layer is `layer` would find there.
    #[must_use]
    pub fn at(&self, id: NodeId, layer: u16) -> Option<&Meta> {
        self.events(id).iter().rev().find(|event| event.layer <= layer)?.meta.as_ref()
    }

    /// What `layer` did there; `None`: it did not touch it.
    #[must_use]
    pub fn event(&self, id: NodeId, layer: u16) -> Option<&Event> {
        self.events(id).iter().find(|event| event.layer == layer)
    }

    /// How the place differs from the layers below `layer`; `None`: nothing is there, neither before nor after.
    #[must_use]
    pub fn change(&self, id: NodeId, layer: u16) -> Option<Change> {
        let before = layer.checked_sub(1).and_then(|below| self.at(id, below));
        match (before, self.at(id, layer)) {
            (None, None) => None,
            (None, Some(_)) => Some(Change::Added),
            (Some(_), None) => Some(Change::Removed),
            (Some(old), Some(new)) if old.is_like(new) => Some(Change::Unchanged),
            (Some(_), Some(_)) => Some(Change::Modified),
        }
    }

    /// What to show of the place from `layer`: what is there, or what was removed.
    #[must_use]
    pub fn shown(&self, id: NodeId, layer: u16) -> Option<&Meta> {
        let below = layer.checked_sub(1);
        self.at(id, layer).or_else(|| below.and_then(|below| self.at(id, below)))
    }
}
