//! The tree as seen from one layer: sizes of directories, what a filter leaves, and the rows of the open part.

use std::collections::HashSet;

use super::{Change, Changes, Kind, NodeId, Tree};

/// What of the tree belongs to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that a container would find whose topmost layer this is, and what the layer removed.
    Stacked,
    /// What the layer itself has.
    Layer,
}

/// The order within a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By name.
    Name,
    /// Largest first.
    Size,
}

/// One line of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The place.
    pub id: NodeId,
    /// Directories above it, the root not counted.
    pub depth: u16,
    /// How it differs from the layers below.
    pub change: Change,
    /// Its bytes, or those of all below it.
    pub size: u64,
    /// A directory, and something in it is shown or would be when it is opened.
    pub has_children: bool,
}

/// The tree as seen from one layer.
#[derive(Debug)]
pub struct View {
    layer: u16,
    sizes: Vec<u64>,
    /// What is shown, or leads to what is shown.
    shown: Vec<bool>,
    /// Changes of the place and of all below it.
    below: Vec<Changes>,
}

impl View {
    /// Looks at `tree` from `layer`. A place is shown when its change is in `changes` and its path is `wanted`,
    /// and so are the directories above it.
    pub fn new(
        tree: &Tree,
        layer: u16,
        scope: Scope,
        changes: Changes,
        wanted: Option<&dyn Fn(&str) -> bool>,
    ) -> Self {
        let count = tree.len();
        let mut view = Self {
            layer,
            sizes: vec![0; count],
            shown: vec![false; count],
            below: vec![Changes::NONE; count],
        };
        // Children have higher numbers than their parent: whoever comes is complete.
        for index in (0..count).rev() {
            let id = index as NodeId;
            let in_scope = scope == Scope::Stacked || tree.event(id, layer).is_some();
            if let Some(change) = tree.change(id, layer).filter(|_| in_scope) {
                let meta = tree.shown(id, layer);
                let is_dir = meta.is_some_and(|meta| meta.kind == Kind::Directory);
                // Unchanged directories are shown for what is in them, unless everything is.
                let counts = !is_dir || change != Change::Unchanged || changes == Changes::ALL;
                if counts && changes.has(change) && wanted.is_none_or(|wanted| wanted(&tree.path(id))) {
                    view.shown[index] = true;
                    view.sizes[index] += meta.filter(|_| !is_dir).map_or(0, |meta| meta.size);
                }
                view.below[index] = view.below[index].with(change.into());
            }
            if id != Tree::ROOT {
                let parent = tree.parent(id) as usize;
                view.shown[parent] |= view.shown[index];
                // What is gone is no part of a directory that is still there.
                let gone = |id| tree.change(id, layer) == Some(Change::Removed);
                if !gone(id) || gone(tree.parent(id)) {
                    view.sizes[parent] += view.sizes[index];
                }
                view.below[parent] = view.below[parent].with(view.below[index]);
            }
        }
        view
    }

    /// Bytes of all that is shown at and below a place; what is removed counts for itself alone.
    #[must_use]
    pub fn size(&self, id: NodeId) -> u64 {
        self.sizes[id as usize]
    }

    /// Is it shown, or something below it?
    #[must_use]
    pub fn is_shown(&self, id: NodeId) -> bool {
        self.shown[id as usize]
    }

    /// The rows of all directories that are not in `closed`, from the root down.
    #[must_use]
    pub fn rows(&self, tree: &Tree, closed: &HashSet<NodeId>, sort: Sort) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut open: Vec<(NodeId, u16)> = Vec::new();
        self.open(tree, Tree::ROOT, 0, sort, &mut open);
        while let Some((id, depth)) = open.pop() {
            let has_children = tree.children(id).any(|child| self.is_shown(child));
            rows.push(Row { id, depth, change: self.change(tree, id), size: self.size(id), has_children });
            if has_children && !closed.contains(&id) {
                self.open(tree, id, depth + 1, sort, &mut open);
            }
        }
        rows
    }

    /// Puts the children upon the stack, the first one topmost.
    fn open(&self, tree: &Tree, id: NodeId, depth: u16, sort: Sort, open: &mut Vec<(NodeId, u16)>) {
        let mut children: Vec<NodeId> = tree.children(id).filter(|child| self.is_shown(*child)).collect();
        if sort == Sort::Size {
            children.sort_by_key(|child| std::cmp::Reverse(self.size(*child)));
        }
        open.extend(children.into_iter().rev().map(|child| (child, depth)));
    }

    /// A directory that is itself as before counts as modified when something in it is not.
    fn change(&self, tree: &Tree, id: NodeId) -> Change {
        let own = tree.change(id, self.layer).unwrap_or(Change::Unchanged);
        let inside = self.below[id as usize];
        let differs = [Change::Added, Change::Modified, Change::Removed].iter().any(|c| inside.has(*c));
        if own == Change::Unchanged && differs { Change::Modified } else { own }
    }
}
