//! What is looked at, and what each key does to it. Knows no screen but the heights that `draw` notes.

use std::collections::HashSet;

use explore::{Change, Changes, Image, Kind, NodeId, Row, Scope, Sort, Tree, View};
use regex_lite::{Regex, RegexBuilder};

use super::keys::Key;

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Layers,
    Tree,
    Wasted,
}

/// A list with a line that is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) at: usize,
    /// The first line that is seen.
    pub(super) top: usize,
    /// Lines that are seen; noted when drawn.
    pub(super) height: usize,
}

impl Cursor {
    /// Moves within `count` lines; keeps the chosen one in sight.
    fn go(&mut self, to: usize, count: usize) {
        self.at = to.min(count.saturating_sub(1));
        self.show(count);
    }

    /// Scrolls as little as needed.
    pub(super) fn show(&mut self, count: usize) {
        let height = self.height.max(1);
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(height));
        self.top = self.top.min(count.saturating_sub(height));
    }

    /// The line that a key leads to.
    fn target(self, key: Key, count: usize) -> Option<usize> {
        let page = self.height.max(2) - 1;
        Some(match key {
            Key::Up | Key::Char('k') => self.at.saturating_sub(1),
            Key::Down | Key::Char('j') => self.at + 1,
            Key::PageUp => self.at.saturating_sub(page),
            Key::PageDown => self.at + page,
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => count,
            _ => return None,
        })
    }
}

/// The state of the whole screen.
pub(super) struct Explorer<'a> {
    pub(super) image: &'a Image,
    pub(super) pane: Pane,
    pub(super) layers: Cursor,
    pub(super) tree: Cursor,
    pub(super) wasted: Cursor,
    pub(super) scope: Scope,
    pub(super) changes: Changes,
    pub(super) sort: Sort,
    /// The pattern that paths are searched for.
    pub(super) pattern: String,
    /// The pattern is being typed.
    pub(super) typing: bool,
    pub(super) rows: Vec<Row>,
    view: View,
    closed: HashSet<NodeId>,
    /// What was closed before a search opened all.
    closed_before: Option<HashSet<NodeId>>,
    done: bool,
}

/// An image with more places opens with its directories closed.
const OPEN_UP_TO: usize = 500;
/// The longest pattern.
const MAX_PATTERN: usize = 256;

impl<'a> Explorer<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        let (scope, changes) = (Scope::Stacked, Changes::ALL);
        let mut explorer = Self {
            image,
            pane: Pane::Layers,
            layers: Cursor::default(),
            tree: Cursor::default(),
            wasted: Cursor::default(),
            scope,
            changes,
            sort: Sort::Name,
            pattern: String::new(),
            typing: false,
            rows: Vec::new(),
            view: View::new(&image.tree, 0, scope, changes, None),
            closed: HashSet::new(),
            closed_before: None,
            done: false,
        };
        if image.tree.len() > OPEN_UP_TO {
            explorer.closed = explorer.directories();
        }
        explorer.list();
        explorer
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The layer that is looked at.
    pub(super) fn layer(&self) -> u16 {
        u16::try_from(self.layers.at).unwrap_or(u16::MAX)
    }

    pub(super) fn is_closed(&self, id: NodeId) -> bool {
        self.closed.contains(&id)
    }

    /// Bytes of all that is shown.
    pub(super) fn shown_size(&self) -> u64 {
        self.view.size(Tree::ROOT)
    }

    pub(super) fn press(&mut self, key: Key) {
        if key == Key::Ctrl('c') {
            self.done = true;
        } else if self.typing {
            self.type_pattern(key);
        } else if !self.command(key) {
            match self.pane {
                Pane::Layers => self.move_layer(key),
                Pane::Tree => self.move_in_tree(key),
                Pane::Wasted => self.move_in_wasted(key),
            }
        }
    }

    /// Keys that mean the same everywhere.
    fn command(&mut self, key: Key) -> bool {
        match key {
            Key::Char('q') => self.done = true,
            Key::Tab => self.pane = self.pane.next(),
            Key::BackTab => self.pane = self.pane.next().next(),
            Key::Char('/') => self.typing = true,
            Key::Escape => self.search(String::new()),
            Key::Char('a') => self.filter(self.changes.toggled(Change::Added)),
            Key::Char('m') => self.filter(self.changes.toggled(Change::Modified)),
            Key::Char('r') => self.filter(self.changes.toggled(Change::Removed)),
            Key::Char('u') => self.filter(self.changes.toggled(Change::Unchanged)),
            Key::Char('l') => {
                self.scope = if self.scope == Scope::Stacked { Scope::Layer } else { Scope::Stacked };
                self.look();
            }
            Key::Char('s') => {
                self.sort = if self.sort == Sort::Name { Sort::Size } else { Sort::Name };
                self.list();
            }
            Key::Char('c') => {
                self.closed = if self.closed.is_empty() { self.directories() } else { HashSet::new() };
                self.list();
            }
            _ => return false,
        }
        true
    }

    fn move_layer(&mut self, key: Key) {
        let count = self.image.layers.len();
        if let Some(to) = self.layers.target(key, count) {
            let before = self.layers.at;
            self.layers.go(to, count);
            if self.layers.at != before {
                self.look();
            }
        } else if matches!(key, Key::Enter | Key::Right) {
            self.pane = Pane::Tree;
        }
    }

    fn move_in_wasted(&mut self, key: Key) {
        let count = self.image.wasted.len();
        if let Some(to) = self.wasted.target(key, count) {
            self.wasted.go(to, count);
        } else if key == Key::Enter {
            self.visit_wasted();
        }
    }

    fn move_in_tree(&mut self, key: Key) {
        let count = self.rows.len();
        if let Some(to) = self.tree.target(key, count) {
            self.tree.go(to, count);
            return;
        }
        let Some(row) = self.rows.get(self.tree.at).copied() else { return };
        let is_closed = self.closed.contains(&row.id);
        match key {
            Key::Enter | Key::Char(' ') if row.has_children => self.close(row.id, !is_closed),
            Key::Right if row.has_children && is_closed => self.close(row.id, false),
            Key::Right => self.tree.go(self.tree.at + 1, count),
            Key::Left if row.has_children && !is_closed => self.close(row.id, true),
            Key::Left => self.choose(self.image.tree.parent(row.id)),
            _ => {}
        }
    }

    /// From a wasted place to that place in the tree of the last layer that has it.
    fn visit_wasted(&mut self) {
        let Some(wasted) = self.image.wasted.get(self.wasted.at) else { return };
        let stored = self.image.tree.events(wasted.id).iter().rev().find(|event| event.meta.is_some());
        let layer = stored.map_or(0, |event| usize::from(event.layer));
        self.layers.go(layer, self.image.layers.len());
        (self.changes, self.pattern, self.pane) = (Changes::ALL, String::new(), Pane::Tree);
        let mut above = self.image.tree.parent(wasted.id);
        while above != Tree::ROOT {
            self.closed.remove(&above);
            above = self.image.tree.parent(above);
        }
        self.look();
        self.choose(wasted.id);
    }

    fn close(&mut self, id: NodeId, closed: bool) {
        if closed {
            self.closed.insert(id);
        } else {
            self.closed.remove(&id);
        }
        self.list();
    }

    fn choose(&mut self, id: NodeId) {
        if let Some(at) = self.rows.iter().position(|row| row.id == id) {
            self.tree.go(at, self.rows.len());
        }
    }

    fn filter(&mut self, changes: Changes) {
        self.changes = changes;
        self.look();
    }

    fn type_pattern(&mut self, key: Key) {
        let mut pattern = self.pattern.clone();
        match key {
            Key::Enter | Key::Tab => {
                self.typing = false;
                self.pane = Pane::Tree;
                return;
            }
            Key::Escape => {
                self.typing = false;
                pattern.clear();
            }
            Key::Backspace => drop(pattern.pop()),
            Key::Ctrl('u') => pattern.clear(),
            Key::Char(letter) if pattern.len() < MAX_PATTERN => pattern.push(letter),
            _ => return,
        }
        self.search(pattern);
    }

    /// Looks for paths; all directories are open meanwhile.
    fn search(&mut self, pattern: String) {
        if pattern == self.pattern {
            return;
        }
        self.pattern = pattern;
        if self.pattern.is_empty() {
            self.closed = self.closed_before.take().unwrap_or_default();
        } else if self.closed_before.is_none() {
            self.closed_before = Some(std::mem::take(&mut self.closed));
        }
        self.look();
    }

    /// Looks anew; the chosen place stays chosen where it is still shown.
    fn look(&mut self) {
        let matcher = Matcher::new(&self.pattern);
        let wanted = |path: &str| matcher.matches(path);
        let wanted: Option<&dyn Fn(&str) -> bool> = (!self.pattern.is_empty()).then_some(&wanted);
        self.view = View::new(&self.image.tree, self.layer(), self.scope, self.changes, wanted);
        self.list();
    }

    fn list(&mut self) {
        let chosen = self.rows.get(self.tree.at).map(|row| row.id);
        self.rows = self.view.rows(&self.image.tree, &self.closed, self.sort);
        self.tree.go(self.tree.at, self.rows.len());
        if let Some(id) = chosen {
            self.choose(id);
        }
    }

    fn directories(&self) -> HashSet<NodeId> {
        let tree = &self.image.tree;
        let is_dir = |id: &NodeId| {
            let mut metas = tree.events(*id).iter().filter_map(|event| event.meta.as_ref());
            *id != Tree::ROOT && metas.any(|meta| meta.kind == Kind::Directory)
        };
        (0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX)).filter(is_dir).collect()
    }
}

impl Pane {
    fn next(self) -> Self {
        match self {
            Self::Layers => Self::Tree,
            Self::Tree => Self::Wasted,
            Self::Wasted => Self::Layers,
        }
    }
}

/// A pattern as it is meant: a regular expression where it is one, else a part of the path; without capitals it
/// means either case.
struct Matcher {
    regex: Option<Regex>,
    text: String,
    either: bool,
}

/// The most that a compiled pattern may take.
const MAX_REGEX: usize = 1 << 20;

impl Matcher {
    fn new(pattern: &str) -> Self {
        let either = !pattern.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(pattern).case_insensitive(either).size_limit(MAX_REGEX).build().ok();
        Self { regex, text: pattern.to_owned(), either }
    }

    fn matches(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(path),
            None if self.either => path.to_lowercase().contains(&self.text),
            None => path.contains(&self.text),
        }
    }
}
