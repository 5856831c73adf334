//! What is seen: layers and what is wasted on the left, the tree on the right, keys at the bottom. A narrow screen
//! has room for the pane that is used.

use explore::{Change, Kind, Meta, Row, Scope, Sort};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::state::{Cursor, Explorer, Pane};
use crate::format::units;

/// Columns below which one pane is shown at a time.
const NARROW: u16 = 60;
/// Columns of the tree's pane that leave room for modes and owners.
const WIDE_TREE: u16 = 56;
/// Lines of the details above the list of what is wasted, with their frame.
const FACTS: u16 = 10;

pub(super) fn draw(explorer: &mut Explorer<'_>, frame: &mut Frame<'_>) {
    let [body, bottom] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    if body.width < NARROW {
        match explorer.pane {
            Pane::Layers => layers(explorer, frame, body),
            Pane::Tree => tree(explorer, frame, body),
            Pane::Wasted => details(explorer, frame, body),
        }
    } else {
        let [left, right] = Layout::horizontal([Constraint::Percentage(42), Constraint::Min(0)]).areas(body);
        let count = u16::try_from(explorer.image.layers.len()).unwrap_or(u16::MAX);
        let most = (left.height / 3).max(4);
        let [above, below] =
            Layout::vertical([Constraint::Length(count.saturating_add(2).min(most)), Constraint::Min(0)])
                .areas(left);
        layers(explorer, frame, above);
        details(explorer, frame, below);
        tree(explorer, frame, right);
    }
    frame.render_widget(Paragraph::new(keys(explorer)), bottom);
}

fn keys(explorer: &Explorer<'_>) -> Line<'static> {
    if explorer.typing {
        return Line::raw(format!("/{}▏ Enter: done  Esc: clear", explorer.pattern));
    }
    let on = |on: bool| if on { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let mut spans = vec![Span::raw("q quit Tab pane / search ")];
    for (text, change) in [
        ("added", Change::Added),
        ("modified", Change::Modified),
        ("removed", Change::Removed),
        ("unchanged", Change::Unchanged),
    ] {
        spans.push(Span::styled(text, on(explorer.changes.has(change))));
        spans.push(Span::raw(" "));
    }
    spans.push(Span::styled("layer", on(explorer.scope == Scope::Layer)));
    spans.push(Span::raw(" "));
    spans.push(Span::styled("size", on(explorer.sort == Sort::Size)));
    spans.push(Span::raw(" c close all"));
    Line::from(spans)
}

fn frame_of(title: String, active: bool) -> Block<'static> {
    let style = if active { Style::new().fg(Color::Cyan) } else { Style::new().fg(Color::DarkGray) };
    Block::bordered().border_style(style).title(title)
}

fn size(bytes: u64) -> String {
    units::short_size(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// What an image says must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Draws those of `count` lines that are seen.
fn list<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    (cursor, active): (&mut Cursor, bool),
    count: usize,
    line: impl Fn(usize) -> Line<'a>,
) {
    cursor.height = usize::from(area.height);
    cursor.show(count);
    let seen = cursor.top..count.min(cursor.top + cursor.height);
    let chosen = cursor.at;
    let lines: Vec<Line<'_>> = seen
        .map(|at| {
            let line = line(at);
            let weight = if active { Modifier::REVERSED } else { Modifier::BOLD };
            if at == chosen { line.patch_style(Style::new().add_modifier(weight)) } else { line }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn layers(explorer: &mut Explorer<'_>, frame: &mut Frame<'_>, area: Rect) {
    let image = explorer.image;
    let active = explorer.pane == Pane::Layers;
    let block = frame_of(format!(" Layers ({}) ", image.layers.len()), active);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    list(frame, inner, (&mut explorer.layers, active), image.layers.len(), |at| {
        let layer = &image.layers[at];
        Line::raw(format!("{at:>3} {:>7} {}", size(layer.size), printable(&layer.command)))
    });
}

fn details(explorer: &mut Explorer<'_>, frame: &mut Frame<'_>, area: Rect) {
    let image = explorer.image;
    let active = explorer.pane == Pane::Wasted;
    let block = frame_of(format!(" Layer {} ", explorer.layers.at), active);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [above, below] = Layout::vertical([Constraint::Length(FACTS), Constraint::Min(0)]).areas(inner);
    let mut lines = Vec::new();
    if let Some(layer) = image.layers.get(explorer.layers.at) {
        lines.push(Line::raw(layer.digest.clone()));
        lines.push(Line::from(vec![
            Span::raw(format!("{} ", size(layer.size))),
            Span::styled(format!("+{} ", layer.added), colour(Change::Added)),
            Span::styled(format!("~{} ", layer.modified), colour(Change::Modified)),
            Span::styled(format!("-{} ", layer.removed), colour(Change::Removed)),
            Span::raw(format!("{} wasted", size(layer.wasted))),
        ]));
        lines.push(Line::raw(printable(&layer.command)));
    }
    let [facts, whole] = Layout::vertical([Constraint::Min(0), Constraint::Length(4)]).areas(above);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), facts);
    let wasted = size(image.wasted_bytes());
    let sums = vec![
        Line::styled(format!("Image {}", image.names.join(" ")), Modifier::BOLD),
        Line::raw(format!("{} in all, {} shown", size(image.size()), size(explorer.shown_size()))),
        Line::raw(format!("{wasted} wasted, efficiency {:.2}%", 100.0 * image.efficiency())),
        Line::styled(" WASTED TIMES PATH", Modifier::BOLD),
    ];
    frame.render_widget(Paragraph::new(sums), whole);
    list(frame, below, (&mut explorer.wasted, active), image.wasted.len(), |at| {
        let wasted = &image.wasted[at];
        let path = printable(&image.tree.path(wasted.id));
        Line::raw(format!("{:>7} {:>5} {path}", size(wasted.bytes), wasted.count))
    });
}

fn tree(explorer: &mut Explorer<'_>, frame: &mut Frame<'_>, area: Rect) {
    let active = explorer.pane == Pane::Tree;
    let what = if explorer.scope == Scope::Layer { "this layer only" } else { "all layers up to this" };
    let search = if explorer.pattern.is_empty() { String::new() } else { format!("/{} ", explorer.pattern) };
    let block = frame_of(format!(" Files: {what} {search}"), active);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let wide = area.width >= WIDE_TREE;
    let rows = std::mem::take(&mut explorer.rows);
    let mut cursor = explorer.tree;
    let shown = &*explorer;
    list(frame, inner, (&mut cursor, active), rows.len(), |at| row(shown, &rows[at], wide));
    explorer.tree = cursor;
    explorer.rows = rows;
    if explorer.rows.is_empty() {
        frame.render_widget(Paragraph::new("Nothing to show: all is filtered out."), inner);
    }
}

fn row(explorer: &Explorer<'_>, row: &Row, wide: bool) -> Line<'static> {
    let tree = &explorer.image.tree;
    let Some(meta) = tree.shown(row.id, explorer.layer()) else { return Line::default() };
    let sign = match row.change {
        Change::Unchanged => ' ',
        Change::Added => '+',
        Change::Modified => '~',
        Change::Removed => '-',
    };
    let facts = if wide {
        format!("{} {:>9} ", mode(meta), format!("{}:{}", meta.uid, meta.gid))
    } else {
        String::new()
    };
    let fold = match (row.has_children, explorer.is_closed(row.id)) {
        (true, true) => "▸ ",
        (true, false) => "▾ ",
        (false, _) => "  ",
    };
    let indent = "  ".repeat(usize::from(row.depth));
    let mut name = printable(&tree.name(row.id));
    match meta.kind {
        Kind::Directory => name.push('/'),
        Kind::Symlink => {
            name.push_str(" → ");
            name.push_str(&printable(&String::from_utf8_lossy(&meta.link)));
        }
        _ => {}
    }
    let text = format!("{sign} {facts}{:>7} {indent}{fold}{name}", size(row.size));
    Line::styled(text, colour(row.change))
}

fn colour(change: Change) -> Style {
    match change {
        Change::Unchanged => Style::new(),
        Change::Added => Style::new().fg(Color::Green),
        Change::Modified => Style::new().fg(Color::Yellow),
        Change::Removed => Style::new().fg(Color::Red),
    }
}

/// `drwxr-xr-x`, as `ls -l` has it.
fn mode(meta: &Meta) -> String {
    let mut text = String::from(meta.kind.letter());
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = meta.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (meta.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}
