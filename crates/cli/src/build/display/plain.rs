//! Lines as they come, each with its step's number.

use std::collections::HashMap;

use buildkit::proto::control::{StatusResponse, Vertex};

use super::state::{State, seconds};
use crate::format::units;

#[derive(Default)]
pub(super) struct Plain {
    said: HashMap<String, Said>,
    /// The step that wrote last.
    last: Option<usize>,
}

/// What was said of a step.
#[derive(Default)]
struct Said {
    named: bool,
    ended: bool,
    /// Output without its end.
    rest: String,
}

impl Plain {
    pub(super) fn text(&mut self, state: &State, message: &StatusResponse) -> String {
        let mut text = String::new();
        for vertex in &message.vertexes {
            if vertex.started.is_some() {
                self.name(state, vertex, &mut text);
            }
        }
        for status in message.statuses.iter().filter(|status| status.completed.is_some()) {
            let (Some(number), Some(step)) = (state.number(&status.vertex), state.find(&status.vertex))
            else {
                continue;
            };
            self.name(state, &step.vertex, &mut text);
            self.turn(state, number, &mut text);
            let took = match (&status.started, &status.completed) {
                (Some(from), Some(to)) => (seconds(to) - seconds(from)).max(0.0),
                _ => 0.0,
            };
            let amount = match (status.current, status.total) {
                (0, _) => String::new(),
                (current, 0) => format!(" {}", units::human_size(current)),
                (current, total) => format!(" {} / {}", units::human_size(current), units::human_size(total)),
            };
            text.push_str(&format!("#{number} {}{amount} {took:.1}s done\n", status.id));
        }
        for log in &message.logs {
            let (Some(number), Some(step)) = (state.number(&log.vertex), state.find(&log.vertex)) else {
                continue;
            };
            self.name(state, &step.vertex, &mut text);
            self.turn(state, number, &mut text);
            let began = step.vertex.started.as_ref().map_or(0.0, seconds);
            let at = log.timestamp.as_ref().map_or(began, seconds);
            let said = self.said.entry(log.vertex.clone()).or_default();
            said.rest.push_str(&String::from_utf8_lossy(&log.msg));
            while let Some((line, rest)) = said.rest.split_once('\n') {
                text.push_str(&format!(
                    "#{number} {:.3} {}\n",
                    (at - began).max(0.0),
                    line.trim_end_matches('\r')
                ));
                said.rest = rest.to_owned();
            }
        }
        for vertex in &message.vertexes {
            if vertex.completed.is_some() {
                self.end(state, vertex, &mut text);
            }
        }
        text
    }

    fn name(&mut self, state: &State, vertex: &Vertex, text: &mut String) {
        let Some(number) = state.number(&vertex.digest) else { return };
        let said = self.said.entry(vertex.digest.clone()).or_default();
        if std::mem::replace(&mut said.named, true) {
            return;
        }
        if self.last.is_some() {
            text.push('\n');
        }
        self.last = Some(number);
        text.push_str(&format!("#{number} {}\n", vertex.name));
    }

    /// A line of another step than before says whose it is.
    fn turn(&mut self, state: &State, number: usize, text: &mut String) {
        if self.last.replace(number) == Some(number) {
            return;
        }
        let name = state.steps.get(number - 1).map_or("", |step| step.vertex.name.as_str());
        text.push_str(&format!("\n#{number} {name}\n"));
    }

    fn end(&mut self, state: &State, vertex: &Vertex, text: &mut String) {
        let Some(number) = state.number(&vertex.digest) else { return };
        let said = self.said.entry(vertex.digest.clone()).or_default();
        if std::mem::replace(&mut said.ended, true) {
            return;
        }
        let rest = std::mem::take(&mut said.rest);
        self.turn(state, number, text);
        if !rest.is_empty() {
            text.push_str(&format!("#{number} {rest}\n"));
        }
        let took = state.find(&vertex.digest).map_or(0.0, super::state::Step::seconds);
        text.push_str(&match vertex {
            Vertex { error, .. } if error.contains("context canceled") => format!("#{number} CANCELED\n"),
            Vertex { error, .. } if !error.is_empty() => format!("#{number} ERROR: {error}\n"),
            Vertex { cached: true, .. } => format!("#{number} CACHED\n"),
            _ => format!("#{number} DONE {took:.1}s\n"),
        });
    }
}

#[cfg(test)]
mod tests {
    use buildkit::proto::Timestamp;
    use buildkit::proto::control::VertexLog;

    use super::*;

    #[test]
    fn steps_have_numbers_and_ends() {
        let (mut state, mut plain) = (State::default(), Plain::default());
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut say = |message: StatusResponse| {
            state.take(&message);
            plain.text(&state, &message)
        };
        let vertex = |digest: &str| Vertex {
            digest: digest.into(),
            name: format!("step {digest}"),
            ..Default::default()
        };
        let told = StatusResponse { vertexes: vec![vertex("a"), vertex("b")], ..Default::default() };
        assert_eq!(say(told), "");
        let cached = Vertex { started: at(1), completed: at(1), cached: true, ..vertex("a") };
        let message = StatusResponse { vertexes: vec![cached], ..Default::default() };
        assert_eq!(say(message.clone()), "#1 step a\n#1 CACHED\n");
        assert_eq!(say(message), "", "nothing is said twice");
        let running = Vertex { started: at(2), ..vertex("b") };
        let log = |msg: &str| VertexLog {
            vertex: "b".into(),
            timestamp: at(3),
            msg: msg.into(),
            ..Default::default()
        };
        let message = StatusResponse {
            vertexes: vec![running],
            logs: vec![log("hel"), log("lo\nx")],
            ..Default::default()
        };
        assert_eq!(say(message), "\n#2 step b\n#2 1.000 hello\n");
        let failed = Vertex { started: at(2), completed: at(4), error: "no".into(), ..vertex("b") };
        assert_eq!(
            say(StatusResponse { vertexes: vec![failed], ..Default::default() }),
            "#2 x\n#2 ERROR: no\n"
        );
    }
}
