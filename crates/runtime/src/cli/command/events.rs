//! `events`: statistics once or at an interval, and out-of-memory kills, one JSON object a line.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};

use super::{Command, Outcome, print, stats};
use crate::cli::args::{Parsed, option, switch};
use crate::cli::container::Container;
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "events",
    usage: "ID",
    help: "print statistics and out-of-memory events as JSON",
    flags: &[
        switch("stats", "", "print the statistics once and end"),
        option("interval", "", "DURATION", "time between statistics (default 5s)"),
    ],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    let process = container.need_process()?;
    let cgroup = container.need_cgroup()?;
    let id = &container.state.id;
    let event = |kind: &str, data: Option<Value>| {
        let mut value = json!({ "type": kind, "id": id });
        if let Some(data) = data {
            value["data"] = data;
        }
        print(&format!("{value}\n"))
    };
    if parsed.has("stats") {
        return Ok(event("stats", Some(stats::value(&cgroup.stats()?))));
    }
    let interval = interval(parsed.get("interval").unwrap_or("5s"))?;
    let mut oom = cgroup.oom_events()?;
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds =
            [PollFd::new(&process.pidfd, PollFlags::IN), PollFd::new(&oom, PollFlags::IN | PollFlags::PRI)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&left)))?;
        let (ended, killed) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        let mut broken = 0;
        if killed && oom.take()? > 0 {
            broken |= event("oom", None);
        }
        if !ended && Instant::now() >= due {
            due += interval;
            broken |= event("stats", Some(stats::value(&cgroup.stats()?)));
        }
        if ended || broken != 0 {
            return Ok(0);
        }
    }
}

/// `500ms`, `5s`, `1m`.
fn interval(text: &str) -> Result<Duration> {
    let cut = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..cut].parse().unwrap_or(0);
    let duration = match &text[cut..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => bail!("{text}: must be a number with ms, s or m"),
    };
    if duration.is_zero() {
        bail!("duration interval must be greater than 0");
    }
    Ok(duration)
}
