//! Where each message goes: on a terminal, a layer's line is written over.

use std::collections::HashMap;

use api::progress::Message;

use super::bar;

/// The most layers that get lines of their own.
const MOST: usize = 10_000;

/// The layers on the screen, by their ids, in the order in which they appeared.
pub(super) struct Lines {
    terminal: bool,
    rows: HashMap<String, usize>,
}

impl Lines {
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal, rows: HashMap::new() }
    }

    pub(super) fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// What a message puts on a screen of this width; empty when it is nothing.
    pub(super) fn text(&mut self, message: &Message, columns: usize) -> String {
        let step = message.progress_detail.is_some() || !message.progress.is_empty();
        if message.id.is_empty() || !step {
            // What scrolls moves the rows away: those of a tag before must not be written over.
            self.rows.clear();
            return self.body(message, columns);
        }
        let known = self.rows.len();
        let (row, new) = match self.rows.get(&message.id) {
            Some(row) => (*row, false),
            None if known < MOST => {
                self.rows.insert(message.id.clone(), known);
                (known, true)
            }
            None => return String::new(),
        };
        let body = self.body(message, columns);
        if !self.terminal || body.is_empty() {
            return body;
        }
        let up = self.rows.len() - row;
        let line = if new { "\n" } else { "" };
        format!("{line}\x1b[{up}A{body}\x1b[{up}B")
    }

    fn body(&self, message: &Message, columns: usize) -> String {
        let name = if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) };
        let detail = message.progress_detail.as_ref().filter(|_| message.stream.is_empty());
        match detail {
            Some(detail) if self.terminal => {
                return format!("\x1b[2K\r{name}{} {}\r", message.status, bar::text(detail, columns));
            }
            // Steps of a transfer are for terminals alone.
            Some(detail) if !detail.is_empty() => return String::new(),
            _ => {}
        }
        if !message.progress.is_empty() {
            return format!("{name}{} {}", message.status, message.progress);
        }
        if !message.stream.is_empty() {
            return format!("{name}{}", message.stream);
        }
        if message.status.is_empty() { String::new() } else { format!("{name}{}\n", message.status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::progress::Progress;

    fn layer(id: &str, status: &str, current: i64, total: i64) -> Message {
        Message {
            id: id.into(),
            status: status.into(),
            progress_detail: Some(Progress { current, total, ..Progress::default() }),
            ..Message::default()
        }
    }

    #[test]
    fn each_layer_has_its_row() {
        let mut lines = Lines::new(true);
        assert_eq!(lines.text(&layer("a", "Waiting", 0, 0), 80), "\n\x1b[1A\x1b[2K\ra: Waiting \r\x1b[1B");
        assert_eq!(lines.text(&layer("b", "Waiting", 0, 0), 80), "\n\x1b[1A\x1b[2K\rb: Waiting \r\x1b[1B");
        assert_eq!(
            lines.text(&layer("a", "Downloading", 1000, 2000), 80),
            "\x1b[2A\x1b[2K\ra: Downloading      1kB/2kB\r\x1b[2B"
        );
        let done = Message::status("Status: done");
        assert_eq!(lines.text(&done, 80), "Status: done\n");
        assert!(lines.text(&layer("a", "Waiting", 0, 0), 80).starts_with("\n\x1b[1A"));
    }

    #[test]
    fn elsewhere_a_change_is_a_line_and_a_step_is_nothing() {
        let mut lines = Lines::new(false);
        assert_eq!(lines.text(&layer("a", "Waiting", 0, 0), 0), "a: Waiting\n");
        assert_eq!(lines.text(&layer("a", "Downloading", 1, 2), 0), "");
        assert_eq!(lines.text(&Message::stream("as it is"), 0), "as it is");
    }
}
