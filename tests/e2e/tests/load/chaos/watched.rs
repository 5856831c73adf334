//! Containers that nobody hits: they write numbered lines, and answer through a published port.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::daemon::IMAGE;
use e2e::programs;
use serde_json::{Value, json};

use super::{Score, add, settled};
use crate::client::Client;
use crate::pause;

/// Writes numbered lines on both outputs.
const WRITER: &str = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done";
/// Gives back what it hears, to any number of clients.
const ECHO: &str = "exec nc -ll -p 7000 -e cat";

pub(super) struct Watched {
    /// Id, and the first process as it was in the beginning.
    containers: Vec<(String, i64)>,
    writers: Vec<String>,
    ports: Vec<u16>,
}

impl Watched {
    pub(super) fn start(client: &Client) -> Result<Self> {
        let mut watched = Self { containers: Vec::new(), writers: Vec::new(), ports: Vec::new() };
        for driver in ["json-file", "local"] {
            let id = watched.run(
                client,
                &json!({
                    "Image": IMAGE,
                    "Cmd": ["sh", "-c", WRITER],
                    "HostConfig": { "LogConfig": { "Type": driver } },
                }),
            )?;
            watched.writers.push(id);
        }
        for _ in 0..2 {
            let id = watched.run(client, &json!({
                "Image": IMAGE,
                "Cmd": ["sh", "-c", ECHO],
                "ExposedPorts": { "7000/tcp": {} },
                "HostConfig": { "PortBindings": { "7000/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "" }] } },
            }))?;
            let told = client.ask("GET", &format!("/containers/{id}/json"), &Value::Null)?;
            let port = told.pointer("/NetworkSettings/Ports/7000~1tcp/0/HostPort").and_then(Value::as_str);
            watched.ports.push(port.context("no port")?.parse()?);
        }
        Ok(watched)
    }

    fn run(&mut self, client: &Client, wish: &Value) -> Result<String> {
        let made = client.ask("POST", "/containers/create", wish)?;
        let id = made["Id"].as_str().context("no id")?.to_owned();
        client.ask("POST", &format!("/containers/{id}/start"), &Value::Null)?;
        let told = client.ask("GET", &format!("/containers/{id}/json"), &Value::Null)?;
        self.containers.push((id.clone(), told["State"]["Pid"].as_i64().context("no pid")?));
        Ok(id)
    }

    /// Is it one of them that this process list's line is about?
    pub(super) fn has(&self, command: &str) -> bool {
        self.containers.iter().any(|(id, _)| command.contains(id))
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.ports.iter().copied()
    }

    /// They run as they did, and no line is missing; how many there are.
    pub(super) fn judge(&self, client: &Client) -> Result<u64> {
        for (id, pid) in &self.containers {
            let told = settled(client, &format!("/containers/{id}/json"))?;
            let state = &told["State"];
            ensure!(
                state["Running"] == true && state["Pid"] == *pid && told["RestartCount"] == 0,
                "{id}: {state}"
            );
        }
        let mut lines = 0;
        for id in &self.writers {
            let said = client.call("GET", &format!("/containers/{id}/logs?stdout=1"), &Value::Null)?;
            ensure!(said.status == 200, "logs: {}", said.text());
            let count = numbered(&said.body).with_context(|| id.clone())?;
            ensure!(count > 20, "{id} has written {count} lines");
            lines += count;
        }
        Ok(lines)
    }
}

/// Reads framed output whose lines are numbered from 1; how many there are.
fn numbered(mut framed: &[u8]) -> Result<u64> {
    let mut text = Vec::new();
    while let Some((head, rest)) = framed.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        text.extend_from_slice(rest.get(..length).context("a frame is cut")?);
        framed = &rest[length..];
    }
    let text = String::from_utf8(text)?;
    let mut count = 0;
    for line in text.lines() {
        count += 1;
        ensure!(line == format!("line {count}"), "line {count} is {line:?}");
    }
    Ok(count)
}

/// Speaks through a port: on one connection that lasts, and on new ones. Each word must come back.
pub(super) fn converse(port: u16, over: &AtomicBool, score: &Score) -> Result<()> {
    let connect = || -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("port {port}"))?;
        stream.set_read_timeout(Some(programs::patient(Duration::from_secs(30))))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    };
    let say = |stream: &mut BufReader<TcpStream>, number: u64| -> Result<()> {
        let word = format!("word {number}\n");
        stream.get_mut().write_all(word.as_bytes())?;
        let mut heard = String::new();
        stream.read_line(&mut heard)?;
        ensure!(heard == word, "{heard:?} came back for {word:?}");
        add(&score.echoes, 1);
        Ok(())
    };
    let mut lasting = programs::eventually("the echo listens", || match connect() {
        Ok(mut stream) => Ok(say(&mut stream, 0).is_ok().then_some(stream)),
        Err(_) => Ok(None),
    })?;
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        say(&mut lasting, number).context("on the connection that lasts")?;
        if number.is_multiple_of(10) {
            say(&mut connect()?, number).context("on a new connection")?;
        }
        pause(Duration::from_millis(5));
    }
    Ok(())
}
