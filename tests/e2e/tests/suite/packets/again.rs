//! The same published port again and again, on a busy machine: whoever has let go of it has let go of it, and no process
//! that was being made meanwhile has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::keep_alive::Connection;
use e2e::lab::{Kind, Lab};
use e2e::programs;

/// Threads that do nothing but take the machine's time.
const BUSY: usize = 3;
/// What each of the ways comes to before the next kill.
const ROUNDS: usize = 12;
const KILLS: usize = 3;
/// A way to let go of a port and to take it.
type Way = fn(&Client, &str, u16) -> Result<()>;
/// Each with a port of its own.
const WAYS: [Way; 5] = [stop_and_start, stop_and_start, restart, remove_and_run, fail_and_start];

struct Client {
    root: PathBuf,
    /// `berthd` is not to be missing.
    steady: bool,
}

impl Client {
    /// Whether it was done; that it was not is fine if a kill may be why.
    fn ask(&self, verb: &str, path: &str, body: &str) -> Result<bool> {
        let reply = Connection::open(&self.root).and_then(|mut api| api.ask(verb, path, body.as_bytes()));
        match reply {
            Err(error) if self.steady => Err(error),
            Err(_) => Ok(false),
            Ok(reply) => {
                let text = String::from_utf8_lossy(&reply.body);
                ensure!(!text.contains("allocated"), "{path}: {text}");
                ensure!(!self.steady || reply.status < 400, "{path}: {} {text}", reply.status);
                Ok(reply.status < 400)
            }
        }
    }

    fn create(&self, name: &str, port: u16, command: &str) -> Result<bool> {
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["{command}","100000"],"HostConfig":{{"PortBindings":{{"80/tcp":[{{"HostPort":"{port}"}}]}}}}}}"#
        );
        self.ask("POST", &format!("/containers/create?name={name}"), &body)
    }

    fn run(&self, name: &str, port: u16) -> Result<()> {
        self.create(name, port, "sleep")?;
        self.ask("POST", &format!("/containers/{name}/start"), "").map(drop)
    }

    fn remove(&self, name: &str) -> Result<bool> {
        self.ask("DELETE", &format!("/containers/{name}?force=1"), "")
    }
}

fn stop_and_start(client: &Client, name: &str, _port: u16) -> Result<()> {
    client.ask("POST", &format!("/containers/{name}/stop?t=0"), "")?;
    client.ask("POST", &format!("/containers/{name}/start"), "").map(drop)
}

/// Processes of the container come and go beside it.
fn exec(root: &Path, name: &str) -> Result<()> {
    let mut api = Connection::open(root)?;
    let made = api.ask("POST", &format!("/containers/{name}/exec"), br#"{"Cmd":["sleep","100000"]}"#)?;
    let made = String::from_utf8_lossy(&made.body).into_owned();
    let Some(id) = made.split('"').nth(3) else { return Ok(()) };
    api.ask("POST", &format!("/exec/{id}/start"), br#"{"Detach":true}"#).map(drop)
}

fn restart(client: &Client, name: &str, _port: u16) -> Result<()> {
    let exec = exec(&client.root, name);
    ensure!(!client.steady || exec.is_ok(), "exec: {exec:?}");
    client.ask("POST", &format!("/containers/{name}/restart?t=0"), "").map(drop)
}

fn remove_and_run(client: &Client, name: &str, port: u16) -> Result<()> {
    client.remove(name)?;
    client.run(name, port)
}

/// The start fails only when the port is taken already.
fn fail_and_start(client: &Client, name: &str, port: u16) -> Result<()> {
    let never = Client { root: client.root.clone(), steady: false };
    let failing = format!("{name}-not");
    client.remove(name)?;
    never.create(&failing, port, "/no/such/program")?;
    let started = never.ask("POST", &format!("/containers/{failing}/start"), "")?;
    ensure!(!started, "what is not there was started");
    client.run(name, port)?;
    never.remove(&failing).map(drop)
}

/// It may be there or not.
fn remove_if_there(client: &Client, name: &str) -> Result<()> {
    Client { root: client.root.clone(), steady: false }.remove(name).map(drop)
}

#[test]
fn a_port_that_was_given_back_can_be_had_at_once() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let root = lab.engine.berth()?.root().to_owned();
    let name = |way: usize| format!("again{way}");
    let port = |way: usize| 8080 + u16::try_from(way).unwrap_or_default();
    let client = Client { root: root.clone(), steady: true };
    for way in 0..WAYS.len() {
        client.run(&name(way), port(way))?;
    }
    let idle = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..BUSY)
        .map(|_| {
            let idle = Arc::clone(&idle);
            std::thread::spawn(move || while !idle.load(Ordering::Relaxed) {})
        })
        .collect();
    let result = (0..=KILLS).try_for_each(|round| {
        let done = AtomicUsize::new(0);
        // the first round is all Docker's: nobody is killed, and everything works
        let client = Client { root: root.clone(), steady: round == 0 };
        std::thread::scope(|scope| {
            let workers: Vec<_> = WAYS
                .iter()
                .enumerate()
                .map(|(way, go)| {
                    let (client, done) = (&client, &done);
                    scope.spawn(move || {
                        (0..ROUNDS).try_for_each(|_| {
                            done.fetch_add(1, Ordering::Relaxed);
                            go(client, &name(way), port(way))
                        })
                    })
                })
                .collect();
            if round > 0 {
                let half = ROUNDS * WAYS.len() / 2;
                programs::eventually("half is done", || {
                    Ok((done.load(Ordering::Relaxed) >= half).then_some(()))
                })?;
                let berth = lab.engine.berth()?;
                berth.kill()?;
                berth.spawn()?;
            }
            workers.into_iter().try_for_each(|worker| {
                worker.join().map_err(|_panic| anyhow::anyhow!("a worker panicked"))?
            })
        })?;
        // whatever the kill has left, each can be had
        let client = Client { root: root.clone(), steady: true };
        (0..WAYS.len()).try_for_each(|way| {
            remove_if_there(&client, &name(way))?;
            client.run(&name(way), port(way))
        })
    });
    idle.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| drop(thread.join()));
    result?;
    lab.finish()
}
