//! Many clients of the API at once: mixed verbs, slow readers, connections that break off half-way through requests and
//! answers, half-open hijacked ones. No answer that Docker would not give; memory, descriptors and threads stay, and
//! nothing is left.
//!
//! `BERTH_API_LOAD=CLIENTS,SECONDS[,SEED]` chooses another size than the suite's 20 clients for 5 seconds
//! (`cargo xtask storm api` takes 200 for a minute).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use serde_json::{Value, json};

use crate::client::{Client, Said, whole};
use crate::dice::Dice;
use crate::{any_seed, asked, gauge, pause};

/// A container that writes and that everybody looks at.
const TALKER: &str = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done";

/// How often what was done.
type Done = Mutex<BTreeMap<&'static str, u64>>;

struct Hand<'a> {
    client: Client,
    dice: Dice,
    number: usize,
    round: u64,
    done: &'a Done,
}

impl Hand<'_> {
    fn work(&mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            self.round += 1;
            let what = match self.dice.below(20) {
                0..=4 => self.look(),
                5 | 6 => self.life(),
                7 | 8 => self.exec(),
                9 => self.volume(),
                10 => self.network(),
                11 | 12 => self.logs(),
                13 => self.stream("events", "/events"),
                14 => self.stream("stats", "/containers/talker/stats"),
                15 => self.slow(),
                16 => self.half_request(),
                17 => self.half_answer(),
                18 => self.half_open(),
                _ => self.wrong(),
            };
            let what = what.with_context(|| format!("client {}, round {}", self.number, self.round))?;
            *self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(what).or_default() +=
                1;
        }
        Ok(())
    }

    fn call(&self, method: &str, path: &str, body: &Value, allowed: &[u16]) -> Result<Said> {
        let said = self.client.call(method, path, body).with_context(|| format!("{method} {path}"))?;
        ensure!(allowed.contains(&said.status), "{method} {path}: {} {}", said.status, said.text());
        Ok(said)
    }

    fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.call("GET", path, &Value::Null, &[200])?.body)?)
    }

    fn look(&mut self) -> Result<&'static str> {
        let paths = [
            "/containers/json?all=1",
            "/containers/talker/json",
            "/images/json",
            "/volumes",
            "/networks",
            "/info",
            "/version",
            "/containers/talker/top",
            "/containers/talker/stats?stream=0&one-shot=1",
        ];
        let path = paths[self.dice.below(paths.len() as u64) as usize];
        self.get(path)?;
        Ok("looks")
    }

    fn life(&mut self) -> Result<&'static str> {
        let name = format!("c{}-{}", self.number, self.round);
        let wish =
            json!({ "Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
        self.call("POST", &format!("/containers/create?name={name}"), &wish, &[201])?;
        let verb = |verb: &str, allowed: &[u16]| {
            self.call("POST", &format!("/containers/{name}/{verb}"), &Value::Null, allowed)
        };
        verb("start", &[204])?;
        if self.round.is_multiple_of(2) {
            verb("stop?t=0", &[204])?;
            verb("start", &[204])?;
            verb("kill", &[204])?;
        }
        self.call("DELETE", &format!("/containers/{name}?force=1&v=1"), &Value::Null, &[204])?;
        self.call("GET", &format!("/containers/{name}/json"), &Value::Null, &[404])?;
        Ok("lives")
    }

    fn exec_id(&self, command: &[&str]) -> Result<String> {
        let wish = json!({ "Cmd": command, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true });
        let made = self.call("POST", "/containers/talker/exec", &wish, &[201])?;
        let made: Value = serde_json::from_slice(&made.body)?;
        Ok(made["Id"].as_str().context("no id")?.to_owned())
    }

    fn exec(&self) -> Result<&'static str> {
        let id = self.exec_id(&["cat"])?;
        let (status, mut stream) = self.client.hijack(&format!("/exec/{id}/start"), &json!({}))?;
        ensure!(status == 101, "exec: {status}");
        stream.write_all(b"hello\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said)?;
        ensure!(said.ends_with(b"hello\n") && said.len() == 14, "exec said {said:?}");
        ensure!(self.get(&format!("/exec/{id}/json"))?["ExitCode"] == 0);
        Ok("execs")
    }

    fn volume(&self) -> Result<&'static str> {
        let name = format!("v{}-{}", self.number, self.round);
        self.call("POST", "/volumes/create", &json!({ "Name": name }), &[201])?;
        self.get(&format!("/volumes/{name}"))?;
        self.call("DELETE", &format!("/volumes/{name}"), &Value::Null, &[204])?;
        Ok("volumes")
    }

    /// Only some have networks: Docker's pools have room for thirty at a time.
    fn network(&mut self) -> Result<&'static str> {
        if self.number >= 8 {
            return self.look();
        }
        let name = format!("n{}-{}", self.number, self.round);
        self.call("POST", "/networks/create", &json!({ "Name": name }), &[201])?;
        self.get(&format!("/networks/{name}"))?;
        self.call("DELETE", &format!("/networks/{name}"), &Value::Null, &[204])?;
        Ok("networks")
    }

    fn logs(&self) -> Result<&'static str> {
        let said = self.call("GET", "/containers/talker/logs?stdout=1&tail=5", &Value::Null, &[200])?;
        ensure!(said.body.windows(5).any(|part| part == b"line "), "no line in the log: {}", said.text());
        Ok("logs")
    }

    /// A stream that is read a little and dropped.
    fn stream(&mut self, what: &'static str, path: &str) -> Result<&'static str> {
        let mut stream = self.client.begin("GET", path, "text/plain", b"")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        ensure!(&head[9..] == b"200", "{path}: {:?}", String::from_utf8_lossy(&head));
        stream.set_read_timeout(Some(Duration::from_millis(20 + self.dice.below(300))))?;
        let _ = stream.read(&mut [0; 4096]);
        Ok(what)
    }

    /// A follower of the log that hardly reads.
    fn slow(&mut self) -> Result<&'static str> {
        let path = "/containers/talker/logs?follow=1&stdout=1";
        let mut stream = self.client.begin("GET", path, "text/plain", b"")?;
        for _ in 0..self.dice.below(30) {
            stream.read_exact(&mut [0])?;
            pause(self.dice.milliseconds(20));
        }
        Ok("slow readers")
    }

    /// A request that breaks off in its head or in its body.
    fn half_request(&mut self) -> Result<&'static str> {
        let body = json!({ "Image": IMAGE, "Cmd": ["true"] }).to_string();
        let text = format!(
            "POST /containers/create HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = self.client.connect()?;
        stream.write_all(&text.as_bytes()[..self.dice.below(text.len() as u64) as usize])?;
        Ok("half requests")
    }

    /// A request whose answer nobody reads, or only its beginning.
    fn half_answer(&mut self) -> Result<&'static str> {
        let paths = [
            "/containers/json?all=1",
            "/info",
            "/containers/talker/logs?stdout=1",
            "/containers/talker/export",
        ];
        let path = paths[self.dice.below(paths.len() as u64) as usize];
        let mut stream = self.client.begin("GET", path, "text/plain", b"")?;
        if self.dice.below(2) == 0 {
            stream.read_exact(&mut [0; 20])?;
        }
        Ok("half answers")
    }

    /// A taken-over connection of which one half or both go while the program at its other end waits for input.
    fn half_open(&mut self) -> Result<&'static str> {
        let id = self.exec_id(&["cat"])?;
        let (status, mut stream) = self.client.hijack(&format!("/exec/{id}/start"), &json!({}))?;
        ensure!(status == 101, "exec: {status}");
        stream.write_all(&vec![b'x'; self.dice.below(100_000) as usize])?;
        match self.dice.below(3) {
            0 => stream.shutdown(Shutdown::Write)?,
            1 => stream.shutdown(Shutdown::Read)?,
            _ => {}
        }
        pause(self.dice.milliseconds(20));
        Ok("half-open connections")
    }

    /// What is refused, is refused in Docker's way.
    fn wrong(&mut self) -> Result<&'static str> {
        let nothing = Value::Null;
        match self.dice.below(5) {
            0 => self.call("GET", "/containers/nobody/json", &nothing, &[404]),
            1 => self.call("POST", "/containers/create", &json!({ "Image": "no/such:image" }), &[404]),
            2 => self.call("POST", "/containers/talker/start", &nothing, &[304]),
            3 => self.call("DELETE", "/containers/talker", &nothing, &[409]),
            _ => whole(self.client.begin("POST", "/containers/create", "application/json", b"{")?)
                .map_err(Into::into)
                .and_then(|said| {
                    ensure!(said.status == 400, "{}", said.text());
                    Ok(said)
                }),
        }?;
        Ok("refusals")
    }
}

/// All hands at work until `lasts` is over.
fn load(root: &Path, clients: usize, lasts: Duration, dice: &mut Dice, done: &Done) -> Result<()> {
    let until = Instant::now() + lasts;
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..clients)
            .map(|number| {
                let mut hand = Hand {
                    client: Client::new(root),
                    dice: Dice(dice.next()),
                    number,
                    round: dice.below(1 << 40),
                    done,
                };
                scope.spawn(move || hand.work(until))
            })
            .collect();
        let ended = hands
            .into_iter()
            .map(|hand| hand.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Result<Vec<()>>>().map(drop)
    })
}

/// Memory of its own (KiB), descriptors and threads of the daemon, and memory of the shim that all have looked at.
fn measure(berth: &Berth) -> Result<[u64; 4]> {
    let pid = berth.pid()?;
    let shims: u64 = gauge::shims(berth.root())?.into_iter().map(gauge::own).sum::<Result<_>>()?;
    Ok([gauge::own(pid)?, gauge::entries(pid, "fd")? as u64, gauge::entries(pid, "task")? as u64, shims])
}

#[test]
fn many_clients_at_once() -> Result<()> {
    let [clients, seconds, seed] = asked("BERTH_API_LOAD", [20, 5, any_seed()])?;
    println!("api load: {clients} clients, {seconds} s, seed {seed}");
    let mut dice = Dice(seed);
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "talker", IMAGE, "sh", "-c", TALKER])?.ok()?;
    let (clients, lasts) = (usize::try_from(clients)?, Duration::from_secs(seconds));
    let done = Done::default();
    // What comes with the first clients may stay: threads, buffers that are used again.
    load(berth.root(), clients, lasts / 2, &mut dice, &done)?;
    let quiet = |most: &dyn Fn([u64; 4]) -> bool| {
        programs::eventually("the daemon has come to rest", || {
            Ok(Some(measure(&berth)?).filter(|now| most(*now)))
        })
    };
    let before = quiet(&|_| true)?;
    load(berth.root(), clients, lasts, &mut dice, &done)?;
    let full = measure(&berth)?;
    let [memory, files, threads, shims] = before;
    let after = quiet(&|now| {
        now[0] <= memory + memory / 10 + 4096
            && now[1] <= files
            && now[2] <= threads
            && now[3] <= shims + 1024
    });
    println!("api load: {:?}", done.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    println!(
        "api load: berthd KiB, descriptors, threads, shim KiB: {before:?} before, {full:?} in it, {:?} after",
        measure(&berth)?
    );
    after?;
    let client = Client::new(berth.root());
    programs::eventually("only what was there is there", || {
        let names = |value: &Value| value.as_array().map_or(0, Vec::len);
        let containers = client.ask("GET", "/containers/json?all=1", &Value::Null)?;
        let volumes = client.ask("GET", "/volumes", &Value::Null)?;
        let networks = client.ask("GET", "/networks", &Value::Null)?;
        // the shell and its sleep
        let processes = client.ask("GET", "/containers/talker/top", &Value::Null)?;
        let left = [
            names(&containers),
            names(&volumes["Volumes"]),
            names(&networks),
            names(&processes["Processes"]),
        ];
        Ok((left[..3] == [1, 0, 3] && left[3] <= 2).then_some(()))
    })?;
    berth.finish()
}
