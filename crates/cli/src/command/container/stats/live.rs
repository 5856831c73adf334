//! The live table: a thread reads each container's stream, one more the events by which containers come and go, and
//! this one draws.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use api::Action;
use api::container::StatsResponse;
use api::events::EventMessage;

use super::{COLUMNS, names, row};
use crate::client::{Client, Incoming};
use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::format::list::{self, Row};
use crate::opts::filter;

/// How long the first news of a round waits for the others: the daemon reads all containers at the same moments.
const ROUND: Duration = Duration::from_millis(100);
/// Longest line that is read.
const LINE_LIMIT: u64 = 4 << 20;

/// What the threads tell.
enum News {
    /// A container was read.
    Reading(String, Box<StatsResponse>),
    /// A container's stream has ended.
    Over(String),
    /// A container came.
    Came(String),
    /// A container is to be left out.
    Left(String),
}

/// One line.
struct Line {
    name: String,
    reading: Option<Box<StatsResponse>>,
    /// Gone with the line: its reader ends with the next reading.
    _shown: Arc<()>,
}

/// Draws until every container that was named is gone, or for ever.
pub(super) fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let client = context.client()?;
    let (sender, news) = mpsc::channel();
    let by_name = !matches.args.is_empty();
    if !by_name {
        // before the list, so that nobody comes in between unseen
        watch(client, matches.bool("all"), sender.clone())?;
    }
    let mut table = Table { client, sender, lines: Vec::new() };
    table.add(names(client, matches)?, by_name)?;
    let screen = context.out.is_terminal();
    let mut first = true;
    loop {
        // on a screen at once; what goes to a pipe has no lines without values
        if screen || !first {
            let rows = table.rows(matches.bool("no-trunc"));
            let text = list::render(matches.get("format"), &COLUMNS, &rows)?;
            context.out.text(&if screen { redrawn(&text, first) } else { text })?;
            context.out.flush()?;
        }
        first = false;
        table.take(&news)?;
        if by_name && table.lines.is_empty() {
            return Ok(());
        }
    }
}

/// The text over the one before: from the top, and behind each line what the old one had more is erased.
fn redrawn(text: &str, first: bool) -> String {
    let clear = if first { "\x1b[2J" } else { "" };
    format!("{clear}\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

struct Table<'a> {
    client: &'a Client,
    sender: Sender<News>,
    lines: Vec<Line>,
}

impl Table<'_> {
    /// Follows containers; all are asked before the first answer is awaited. One that is gone already is left out,
    /// unless a person named it.
    fn add(&mut self, names: Vec<String>, named: bool) -> Result<()> {
        let ask = |name: &String| self.client.call(Action::ContainerStats, name).query("stream", "1").begin();
        let asked = names.iter().map(ask).collect::<Result<Vec<_>>>()?;
        for (name, pending) in names.into_iter().zip(asked) {
            match pending.finish() {
                Ok(incoming) => {
                    let shown = Arc::new(());
                    let (sender, name_there, wanted) =
                        (self.sender.clone(), name.clone(), Arc::downgrade(&shown));
                    spawn(move || follow(incoming, &name_there, &wanted, &sender))?;
                    self.lines.push(Line { name, reading: None, _shown: shown });
                }
                Err(error) if error.is_not_found() && !named => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for news, and takes all of one round.
    fn take(&mut self, news: &Receiver<News>) -> Result<()> {
        let lost = || Error::Transport("the readings broke off".to_owned());
        self.learn(news.recv().map_err(|_closed| lost())?)?;
        let end = Instant::now() + ROUND;
        loop {
            match news.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(one) => self.learn(one)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
            }
        }
    }

    fn learn(&mut self, news: News) -> Result<()> {
        match news {
            News::Reading(name, reading) => {
                if let Some(line) = self.lines.iter_mut().find(|line| line.name == name) {
                    line.reading = Some(reading);
                }
            }
            News::Over(name) | News::Left(name) => self.lines.retain(|line| line.name != name),
            News::Came(name) if self.lines.iter().any(|line| line.name == name) => {}
            News::Came(name) => self.add(vec![name], false)?,
        }
        Ok(())
    }

    fn rows(&self, whole: bool) -> Vec<Row> {
        let line = |line: &Line| match &line.reading {
            Some(reading) => row::row(&line.name, reading, whole),
            None => row::waiting(&line.name),
        };
        self.lines.iter().map(line).collect()
    }
}

/// Reads one container's stream to its end, or until its line is gone.
fn follow(incoming: Incoming, name: &str, wanted: &Weak<()>, sender: &Sender<News>) {
    lines(incoming, |line| {
        let Ok(reading) = serde_json::from_slice(line) else { return false };
        wanted.strong_count() > 0 && sender.send(News::Reading(name.to_owned(), Box::new(reading))).is_ok()
    });
    if wanted.strong_count() > 0 {
        // nobody may be there to hear it
        let _ = sender.send(News::Over(name.to_owned()));
    }
}

/// Reads the events by which containers come and go.
fn watch(client: &Client, all: bool, sender: Sender<News>) -> Result<()> {
    let filters = filter::encode(&["type=container"]);
    let (_, incoming) = client.call(Action::SystemEvents, "").query("filters", &filters).open()?;
    spawn(move || {
        lines(incoming, |line| {
            let Ok(event) = serde_json::from_slice::<EventMessage>(line) else { return false };
            let news = match event.action.as_str() {
                "create" if all => News::Came(event.actor.id),
                "start" => News::Came(event.actor.id),
                "die" if !all => News::Left(event.actor.id),
                _ => return true,
            };
            sender.send(news).is_ok()
        });
    })
}

/// Gives each line to `take`, until it says no or the stream ends.
fn lines(incoming: Incoming, mut take: impl FnMut(&[u8]) -> bool) {
    let mut incoming = BufReader::new(incoming);
    let mut line = Vec::new();
    loop {
        line.clear();
        match incoming.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) if take(&line) => {}
            Ok(_) => return,
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(work);
    thread.map(drop).map_err(Error::io("start a thread"))
}

#[cfg(test)]
mod tests {
    use super::redrawn;

    #[test]
    fn a_shorter_table_leaves_nothing_of_a_longer_one() {
        assert_eq!(redrawn("A\nB\n", true), "\x1b[2J\x1b[HA\x1b[K\nB\x1b[K\n\x1b[J");
        assert_eq!(redrawn("A\n", false), "\x1b[HA\x1b[K\n\x1b[J");
    }
}
