//! What a driver does when its server, its own process or the daemon is away; and refusals.

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::programs;

use super::{servers, wire};

#[test]
fn fluentd_waits_for_its_server_only_if_asked() -> Result<()> {
    let berth = Berth::start()?;
    let port = servers::free_port()?;
    let address = format!("fluentd-address=127.0.0.1:{port}");
    let start = ["run", "-d", "--log-driver", "fluentd", "--log-opt", &address];
    let words = format!(
        "failed to initialize logging driver: dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    berth.docker(start.iter().copied().chain(["--name", "refused", IMAGE, "true"]))?.fails(125, &words)?;

    let more = ["--log-opt", "fluentd-async=true", "--log-opt", "fluentd-retry-wait=100ms", IMAGE];
    let script = ["sh", "-c", "echo early; until [ -e /go ]; do sleep 0.05; done; echo late"];
    let id = berth.docker(start.iter().chain(&more).chain(&script).copied())?.ok()?;
    let (_, heard) = servers::tcp(port, servers::silent)?;
    let events = |all: &[Vec<u8>]| wire::events(&all.concat());
    heard.wait(|all| events(all).len() == 1)?;
    // in the background: the container may end before the session does
    berth.berth(["exec", "-d", &id, "touch", "/go"])?.ok()?;
    let all = events(&heard.wait(|all| events(all).len() == 2)?);
    let said: Vec<_> = all.iter().filter_map(|event| event.at(2).get("log")).collect();
    ensure!(said == ["early", "late"], "{said:?}");
    berth.finish()
}

/// The program that forwards is killed, and so is the daemon: what is written later arrives all the same.
#[test]
fn a_killed_forwarder_is_started_again() -> Result<()> {
    let mut berth = Berth::start()?;
    let (port, heard) = servers::tcp(0, servers::silent)?;
    let address = format!("syslog-address=tcp://127.0.0.1:{port}");
    let script = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done";
    let options = ["--log-driver", "syslog", "--log-opt", &address];
    let start = ["run", "-d", "--name", "box"].into_iter().chain(options);
    berth.berth(start.chain([IMAGE, "sh", "-c", script]))?.ok()?;
    heard.lines(3)?;
    berth.kill()?;
    let before = heard.lines(5)?.len();
    heard.lines(before + 3)?;
    kill_forwarder(&heard.text())?;
    heard.wait(|all| all.len() == 2 && all[1].len() > 200)?;
    berth.spawn()?;
    berth.berth(["stop", "-t", "0", "box"])?.ok()?;
    // the file beside it has every line
    let log = berth.berth(["logs", "box"])?.ok()?;
    ensure!(log.lines().enumerate().all(|(at, line)| line == format!("line {}", at + 1)), "{log}");
    berth.finish()
}

/// Its process id stands in each line.
fn kill_forwarder(heard: &str) -> Result<()> {
    let pid = heard.split(['[', ']']).nth(1).and_then(|pid| pid.parse().ok()).context("no process id")?;
    ensure!(std::fs::read(format!("/proc/{pid}/cmdline"))?.starts_with(b"berth-log\0"));
    let pid = rustix::process::Pid::from_raw(pid).context("no process id")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

/// More lines than all buffers on the way hold.
const LINES: usize = 50_000;

fn write_much(berth: &Berth, name: &str, options: &[&str]) -> Result<()> {
    let write = format!("for (n = 1; n <= {LINES}; n++) printf \"line %0100d\\n\", n");
    let script = format!("awk 'BEGIN {{ {write} }}' && touch /done; sleep 1000");
    let start = ["run", "-d", "--name", name, "--log-driver", "syslog", "--log-opt", "cache-disabled=true"];
    let options = options.iter().flat_map(|option| ["--log-opt", option]);
    berth.berth(start.into_iter().chain(options).chain([IMAGE, "sh", "-c", &script]))?.ok()?;
    Ok(())
}

fn is_done(berth: &Berth, name: &str) -> Result<bool> {
    Ok(berth.berth(["exec", name, "test", "-e", "/done"])?.code == 0)
}

#[test]
fn a_server_that_stalls_holds_a_blocking_container_and_no_other() -> Result<()> {
    let berth = Berth::start()?;
    let (port, mut stalled) = servers::Stalled::new()?;
    let address = format!("syslog-address=tcp://127.0.0.1:{port}");
    write_much(&berth, "blocking", &[&address])?;
    stalled.accept()?;
    let (other_port, mut other) = servers::Stalled::new()?;
    let address = format!("syslog-address=tcp://127.0.0.1:{other_port}");
    write_much(&berth, "free", &[&address, "mode=non-blocking", "max-buffer-size=64k"])?;
    other.accept()?;
    programs::eventually("the non-blocking container has written all", || {
        Ok(is_done(&berth, "free")?.then_some(()))
    })?;
    ensure!(!is_done(&berth, "blocking")?, "nothing held it back");
    berth.docker(["logs", "blocking"])?.fails(1, "configured logging driver does not support reading")?;

    // once the server reads, everything is there, in order
    let text = stalled.read_lines(LINES)?;
    for (at, line) in text.lines().enumerate() {
        ensure!(line.ends_with(&format!("]: line {:0>100}", at + 1)), "line {} is {line:?}", at + 1);
    }
    ensure!(text.lines().count() == LINES);
    programs::eventually("the blocking container has written all", || {
        Ok(is_done(&berth, "blocking")?.then_some(()))
    })?;
    drop((stalled, other));
    berth.finish()
}

#[test]
fn wrong_options_are_refused_at_create_in_dockers_words() -> Result<()> {
    let berth = Berth::start()?;
    for (driver, option, words) in [
        ("syslog", "colour=red", "unknown log opt 'colour' for syslog log driver"),
        ("syslog", "syslog-format=x", "Invalid syslog format"),
        ("syslog", "syslog-facility=x", "invalid syslog facility"),
        ("gelf", "a=b", "unknown log opt \"a\" for gelf log driver"),
        ("gelf", "tag=x", "gelf-address is a required parameter"),
        ("fluentd", "fluentd-async=x", "strconv.ParseBool: parsing \"x\": invalid syntax"),
        ("journald", "max-size=1m", "unknown log opt 'max-size' for journald log driver"),
        ("local", "a=b", "unknown log opt 'a' for log driver local"),
        ("json-file", "max-size=x", "invalid size: 'x'"),
        ("json-file", "mode=x", "logger: logging mode not supported: x"),
        (
            "json-file",
            "max-buffer-size=1",
            "max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", "tag={{.Nope}}", "can't evaluate field Nope in type *logger.Info"),
        ("json-file", "labels-regex=(", "error parsing regexp"),
        ("nope", "a=b", "logger: no log driver named 'nope' is registered"),
    ] {
        let ran = berth.docker(["create", "--log-driver", driver, "--log-opt", option, IMAGE])?;
        ran.fails(1, words).with_context(|| format!("{driver} {option}"))?;
    }
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty(), "something half-made stays");
    berth.finish()
}
