//! What happens as the lines of the classic builder: step after step in the file's order, whatever runs side by side.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::build::graph::VertexId;
use ::build::lower::{Lowered, Step};
use ::build::progress::{Event, Listener, Stream};
use ::build::solve::Solved;
use oci::Digest;

use super::{BuildNews, News};

/// Output of a step that waits for the steps before it, at most; what is older is left out.
const MAX_WAITING: usize = 4 << 20;

/// Writes the lines.
pub(super) struct Lines<'a> {
    steps: &'a [Step],
    news: &'a News,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The step that is being told.
    current: usize,
    /// Its heading was told.
    headed: bool,
    /// Output of steps that are not told yet.
    waiting: HashMap<VertexId, Vec<(Stream, Vec<u8>)>>,
    done: HashMap<VertexId, bool>,
    running: Vec<VertexId>,
    sizes: HashMap<VertexId, usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(lowered: &'a Lowered, news: &'a News, quiet: bool) -> Self {
        let lines = Self { steps: &lowered.steps, news, quiet, state: Mutex::default() };
        lines.go_on(&mut lines.lock());
        lines
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line by itself.
    pub(super) fn text(&self, text: String) {
        if !self.quiet {
            self.news.send(BuildNews::Text(text));
        }
    }

    /// The steps that nothing was left to do for.
    pub(super) fn rest(&self, _solved: &Solved) {
        self.go_on(&mut self.lock());
    }

    /// Tells all that can be told now.
    fn go_on(&self, state: &mut State) {
        while let Some(step) = self.steps.get(state.current) {
            if !state.headed {
                let number = state.current + 1;
                let heading =
                    if step.is_trigger { "# Executing build trigger".to_owned() } else { String::new() };
                if !heading.is_empty() {
                    self.text(format!("{heading}\n"));
                }
                self.text(format!("Step {number}/{} : {}", self.steps.len(), step.text));
                self.text("\n".to_owned());
                state.headed = true;
            }
            let running = format!(" ---> Running in {}\n", short(step, state.current, "container"));
            let removed =
                format!("Removing intermediate container {}\n", short(step, state.current, "container"));
            match step.vertex {
                None if step.is_from => {}
                None => {
                    self.text(running);
                    self.text(removed);
                }
                Some(vertex) => {
                    let runs = step.text.get(..3).is_some_and(|verb| verb.eq_ignore_ascii_case("run"));
                    let output = state.waiting.remove(&vertex).unwrap_or_default();
                    if runs && !output.is_empty() && !state.running.contains(&vertex) {
                        self.text(running.clone());
                        state.running.push(vertex);
                    }
                    output.iter().for_each(|(stream, data)| self.output(*stream, data));
                    let Some(cached) = state.done.get(&vertex) else { return };
                    match (cached, runs, step.is_from) {
                        (true, _, false) => self.text(" ---> Using cache\n".to_owned()),
                        (false, true, _) => {
                            if !state.running.contains(&vertex) {
                                self.text(running);
                            }
                            self.text(removed);
                        }
                        _ => {}
                    }
                }
            }
            self.text(format!(" ---> {}\n", short(step, state.current, "image")));
            state.current += 1;
            state.headed = false;
        }
    }

    /// Output of a process; the client shows errors in red.
    fn output(&self, stream: Stream, data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        self.text(match stream {
            Stream::Stdout => text.into_owned(),
            Stream::Stderr => format!("\u{1b}[91m{text}\u{1b}[0m"),
        });
    }
}

impl Listener for Lines<'_> {
    fn event(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::Log { vertex, stream, data, .. } => {
                let current = self.steps.get(state.current).and_then(|step| step.vertex);
                if current != Some(vertex) {
                    let size = state.sizes.entry(vertex).or_default();
                    *size += data.len();
                    if *size > MAX_WAITING {
                        return;
                    }
                }
                state.waiting.entry(vertex).or_default().push((stream, data));
            }
            Event::Completed { vertex, cached, .. } => {
                state.done.insert(vertex, cached);
            }
            _ => return,
        }
        self.go_on(&mut state);
    }
}

/// Digits that stand for what the classic builder would have made on the way: a step's container, or its image.
fn short(step: &Step, index: usize, what: &str) -> String {
    let text = format!("{what} {index} {:?} {:?} {:?}", step.text, step.output, step.config);
    Digest::sha256(text.as_bytes()).short().to_owned()
}
