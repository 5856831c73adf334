//! The live view: finished steps as single lines, running ones with the end of their output.

use super::state::{State, Step};
use crate::format::units;

/// Lines of output that are shown of a running step.
const OUTPUT: usize = 6;

#[derive(Default)]
pub(super) struct Tty {
    /// Lines on the screen that the next frame replaces.
    drawn: usize,
    began: Option<std::time::Instant>,
}

impl Tty {
    /// What to write for the screen to show how it stands.
    pub(super) fn frame(&mut self, state: &State, (rows, columns): (usize, usize), last: bool) -> String {
        let began = *self.began.get_or_insert_with(std::time::Instant::now);
        let mut lines = vec![fit(&head(state, began.elapsed().as_secs_f64(), last), columns)];
        let shown: Vec<&Step> = state.steps.iter().filter(|step| step.vertex.started.is_some()).collect();
        for step in &shown {
            lines.push(line(step, columns));
            if step.runs() && !last {
                lines.extend(details(step, columns));
            }
        }
        // what has scrolled away can't be drawn again: only the end stays in sight while it goes on
        if !last && lines.len() > rows - 1 {
            let rest = lines.split_off(lines.len() - (rows - 2));
            lines.truncate(1);
            lines.extend(rest);
        }
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        text.push_str("\u{1b}[?25l");
        for line in &lines {
            text.push_str(&format!("\r{line}\u{1b}[K\n"));
        }
        text.push_str("\u{1b}[J\u{1b}[?25h");
        self.drawn = lines.len();
        text
    }
}

fn head(state: &State, seconds: f64, last: bool) -> String {
    let done = state.steps.iter().filter(|step| step.vertex.completed.is_some()).count();
    let failed = state.steps.iter().any(|step| !step.vertex.error.is_empty());
    let word = if last && !failed { " FINISHED" } else { "" };
    format!("[+] Building {seconds:.1}s ({done}/{}){word}", state.steps.len())
}

fn line(step: &Step, columns: usize) -> String {
    let vertex = &step.vertex;
    let (mark, colour) = match () {
        () if vertex.error.contains("context canceled") => ("CANCELED ", "\u{1b}[33m"),
        () if !vertex.error.is_empty() => ("ERROR ", "\u{1b}[31m"),
        () if vertex.cached => ("CACHED ", "\u{1b}[34m"),
        () if vertex.completed.is_some() => ("", "\u{1b}[34m"),
        () => ("", ""),
    };
    let time = format!("{:.1}s", step.seconds());
    let text = fit(&format!(" => {mark}{}", vertex.name), columns.saturating_sub(time.len() + 1));
    let room = columns.saturating_sub(text.chars().count() + time.len());
    let end = if colour.is_empty() { "" } else { "\u{1b}[0m" };
    format!("{colour}{text}{}{time}{end}", " ".repeat(room))
}

fn details(step: &Step, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for part in step.parts.iter().filter(|part| part.completed.is_none()).take(OUTPUT) {
        let amount = match (part.current, part.total) {
            (0, 0) => String::new(),
            (current, 0) => format!(" {}", units::human_size(current)),
            (current, total) => format!(" {} / {}", units::human_size(current), units::human_size(total)),
        };
        lines.push(fit(&format!(" => => {}{amount}", part.id), columns));
    }
    let from = step.lines.len().saturating_sub(OUTPUT);
    for line in step.lines[from..].iter().filter(|line| !line.is_empty()) {
        lines.push(format!("\u{1b}[2m{}\u{1b}[0m", fit(&format!(" => => # {line}"), columns)));
    }
    lines
}

fn fit(text: &str, columns: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(columns).collect()
}

#[cfg(test)]
mod tests {
    use buildkit::proto::Timestamp;
    use buildkit::proto::control::{StatusResponse, Vertex, VertexLog};

    use super::*;

    #[test]
    fn a_frame_replaces_the_one_before_and_never_scrolls() {
        let mut state = State::default();
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let done = Vertex {
            digest: "a".into(),
            name: "FROM x".into(),
            started: at(1),
            completed: at(3),
            ..Default::default()
        };
        let runs = Vertex { digest: "b".into(), name: "RUN y".into(), started: at(3), ..Default::default() };
        let output = (0..50).map(|n| format!("line {n}\n")).collect::<String>();
        let log = VertexLog { vertex: "b".into(), msg: output.into_bytes(), ..Default::default() };
        state.take(&StatusResponse { vertexes: vec![done, runs], logs: vec![log], ..Default::default() });
        let mut tty = Tty::default();
        let first = tty.frame(&state, (24, 40), false);
        assert!(first.contains("(1/2)") && first.contains(" => FROM x"), "{first}");
        assert!(first.contains("line 49") && !first.contains("line 1\u{1b}"), "{first}");
        assert!(first.contains("2.0s"), "{first}");
        let lines = first.matches('\n').count();
        assert!(tty.frame(&state, (24, 40), false).starts_with(&format!("\u{1b}[{lines}A")));
        assert!(Tty::default().frame(&state, (5, 40), false).matches('\n').count() < 5);
        assert!(tty.frame(&state, (24, 40), true).contains("FINISHED"));
        let narrow = Tty::default().frame(&state, (24, 20), true);
        assert!(narrow.contains("[+] Building 0.0s (1\u{1b}"), "{narrow:?}");
    }
}
