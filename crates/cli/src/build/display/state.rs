//! What is known of a build, however it is shown.

use std::collections::HashMap;

use buildkit::proto::Timestamp;
use buildkit::proto::control::{StatusResponse, Vertex, VertexStatus, VertexWarning};

/// Lines of output that are kept of each step, for the live view and for failures.
const MAX_LINES: usize = 200;
/// Most steps that are kept.
const MAX_STEPS: usize = 20_000;

/// A build so far.
#[derive(Default)]
pub(super) struct State {
    /// In the order in which they were begun.
    pub(super) steps: Vec<Step>,
    places: HashMap<String, usize>,
    warnings: Vec<VertexWarning>,
}

/// One vertex.
#[derive(Default)]
pub(super) struct Step {
    /// As told last.
    pub(super) vertex: Vertex,
    /// How far its parts are.
    pub(super) parts: Vec<VertexStatus>,
    /// The last of its output; the last may have no end yet.
    pub(super) lines: Vec<String>,
    /// When this end first heard that it was begun.
    pub(super) began: Option<std::time::Instant>,
}

impl Step {
    /// Seconds that it has taken.
    pub(super) fn seconds(&self) -> f64 {
        match (&self.vertex.started, &self.vertex.completed) {
            (Some(from), Some(to)) => (seconds(to) - seconds(from)).max(0.0),
            _ => self.began.map_or(0.0, |began| began.elapsed().as_secs_f64()),
        }
    }

    /// Whether it is being worked on.
    pub(super) fn runs(&self) -> bool {
        self.vertex.started.is_some() && self.vertex.completed.is_none()
    }
}

/// A time as seconds.
pub(super) fn seconds(at: &Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit")]
    let whole = at.seconds as f64;
    whole + f64::from(at.nanos) / 1e9
}

impl State {
    /// Takes in a message.
    pub(super) fn take(&mut self, message: &StatusResponse) {
        for vertex in &message.vertexes {
            let Some(step) = self.step(&vertex.digest) else { continue };
            if vertex.started.is_some() {
                step.began.get_or_insert_with(std::time::Instant::now);
            }
            step.vertex = vertex.clone();
        }
        for status in &message.statuses {
            let Some(step) = self.step(&status.vertex) else { continue };
            match step.parts.iter().position(|part| part.id == status.id) {
                Some(place) => step.parts[place] = status.clone(),
                None if step.parts.len() < MAX_LINES => step.parts.push(status.clone()),
                None => {}
            }
        }
        for log in &message.logs {
            let Some(step) = self.step(&log.vertex) else { continue };
            add(&mut step.lines, &String::from_utf8_lossy(&log.msg));
        }
        self.warnings.extend(message.warnings.iter().take(MAX_LINES).cloned());
    }

    /// A step's number, counted from 1 in the order in which steps were told of.
    pub(super) fn number(&self, digest: &str) -> Option<usize> {
        self.places.get(digest).map(|place| place + 1)
    }

    /// A step by its digest.
    pub(super) fn find(&self, digest: &str) -> Option<&Step> {
        self.places.get(digest).map(|place| &self.steps[*place])
    }

    fn step(&mut self, digest: &str) -> Option<&mut Step> {
        let place = match self.places.get(digest) {
            Some(place) => *place,
            None if self.steps.len() < MAX_STEPS => {
                self.steps.push(Step::default());
                self.places.insert(digest.to_owned(), self.steps.len() - 1);
                self.steps.len() - 1
            }
            None => return None,
        };
        self.steps.get_mut(place)
    }

    /// The steps that went wrong, with the end of their output.
    pub(super) fn failures(&self) -> String {
        let mut text = String::new();
        let failed =
            |step: &&Step| !step.vertex.error.is_empty() && !step.vertex.error.contains("context canceled");
        for step in self.steps.iter().filter(failed) {
            text.push_str(&format!("------\n > {}:\n", step.vertex.name));
            for line in step.lines.iter().filter(|line| !line.is_empty()) {
                text.push_str(&format!("{line}\n"));
            }
            text.push_str("------\n");
        }
        text
    }

    /// What was found in the Dockerfile.
    pub(super) fn warnings(&self) -> String {
        if self.warnings.is_empty() {
            return String::new();
        }
        let count = self.warnings.len();
        let mut text = format!("\n {count} warning{} found:\n", if count == 1 { "" } else { "s" });
        for warning in &self.warnings {
            let line = warning.ranges.first().and_then(|range| range.start).map_or(0, |start| start.line);
            let place = if line > 0 { format!(" (line {line})") } else { String::new() };
            text.push_str(&format!(" - {}{place}\n", String::from_utf8_lossy(&warning.short)));
        }
        text
    }
}

/// Adds output to lines; what a carriage return writes over is gone.
fn add(lines: &mut Vec<String>, text: &str) {
    if lines.is_empty() {
        lines.push(String::new());
    }
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        let part = part.trim_end_matches('\r');
        let part = part.rsplit('\r').next().unwrap_or(part);
        if let Some(line) = lines.last_mut() {
            let room = 4096_usize.saturating_sub(line.len());
            line.extend(part.chars().take(room).filter(|c| !c.is_control() || *c == '\t'));
        }
    }
    if lines.len() > MAX_LINES {
        lines.drain(..lines.len() - MAX_LINES);
    }
}

#[cfg(test)]
mod tests {
    use buildkit::proto::control::VertexLog;

    use super::*;

    #[test]
    fn steps_are_told_by_their_digest_and_keep_the_end_of_their_output() {
        let mut state = State::default();
        let vertex = Vertex { digest: "sha256:a".into(), name: "RUN x".into(), ..Default::default() };
        state.take(&StatusResponse { vertexes: vec![vertex.clone()], ..Default::default() });
        let log = |msg: &str| VertexLog { vertex: "sha256:a".into(), msg: msg.into(), ..Default::default() };
        state.take(&StatusResponse {
            logs: vec![log("a\nb"), log("c\n10%\r20%\n\u{1b}[1mx")],
            ..Default::default()
        });
        assert_eq!(state.steps[0].lines, ["a", "bc", "20%", "[1mx"]);
        let failed = Vertex { error: "exit code: 1".into(), ..vertex };
        state.take(&StatusResponse { vertexes: vec![failed], ..Default::default() });
        assert!(state.failures().starts_with("------\n > RUN x:\na\nbc\n"));
        assert_eq!((state.number("sha256:a"), state.number("x")), (Some(1), None));
    }
}
