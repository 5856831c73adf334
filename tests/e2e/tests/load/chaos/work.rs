//! The load: what people do with a daemon, over and over, by hands that take a broken connection as it comes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::daemon::IMAGE;
use e2e::image::archive;
use e2e::registry::{Faulty, Packing, Picture, Style};
use serde_json::{Value, json};

use super::{Score, add, settled};
use crate::client::Client;
use crate::dice::Dice;
use crate::pause;

pub(super) struct Hand {
    client: Client,
    number: usize,
    dice: Dice,
    round: u64,
}

/// A word of a request: it went well, or the connection broke.
type Word = Result<Option<Value>>;

impl Hand {
    pub(super) fn new(root: &Path, number: usize, dice: Dice) -> Self {
        Self { client: Client::new(root), number, dice, round: 0 }
    }

    pub(super) fn work(mut self, over: &AtomicBool, score: &Score) -> Result<()> {
        let mut image = e2e::image::Image::scratch();
        image.layer(|layer| layer.file(&format!("file-{}", self.number), 0o644, &[7; 20_000]))?;
        let picture = Picture::of(&image, Style::Oci, &[Packing::Gzip])?;
        let registry = Faulty::start(&picture)?;
        let pulled = registry.site().name("chaos/pulled");
        while !over.load(Ordering::Relaxed) {
            self.round += 1;
            let done = match self.dice.below(12) {
                0..=4 => self.run(),
                5 | 6 => self.exec(),
                7 => self.look(),
                8 | 9 => self.network(),
                10 => self.pull(&pulled),
                _ => self.build(),
            };
            match done.with_context(|| format!("hand {}, round {}", self.number, self.round))? {
                Some(_) => add(&score.works, 1),
                None => {
                    add(&score.refused, 1);
                    pause(Duration::from_millis(10));
                }
            }
        }
        Ok(())
    }

    /// Asks; a daemon that is not there or goes away is no failure, and neither is a container whose shim was killed
    /// under the request (its answer has a status of 403, 404, 409 or 500, and says so in words).
    fn ask(&self, method: &str, path: &str, body: &Value) -> Word {
        let Ok(said) = self.client.call(method, path, body) else { return Ok(None) };
        match said.status {
            ..400 => Ok(Some(serde_json::from_slice(&said.body).unwrap_or_default())),
            403 | 404 | 409 | 500 => {
                let told: Value = serde_json::from_slice(&said.body).unwrap_or_default();
                ensure!(
                    told["message"].as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path}: {}",
                    said.text()
                );
                Ok(None)
            }
            other => bail!("{method} {path}: {other} {}", said.text()),
        }
    }

    fn run(&mut self) -> Word {
        let name = format!("run-{}-{}", self.number, self.round);
        let command = if self.dice.below(2) == 0 { "true" } else { "echo begun; sleep 1000" };
        let wish = json!({
            "Image": IMAGE,
            "Cmd": ["sh", "-c", command],
            "HostConfig": { "AutoRemove": self.dice.below(2) == 0 },
        });
        if self.ask("POST", &format!("/containers/create?name={name}"), &wish)?.is_none() {
            return Ok(None);
        }
        let verbs = ["start", "stop?t=0", "start", "kill", "pause", "unpause", "restart?t=0"];
        let mut last = self.ask("POST", &format!("/containers/{name}/start"), &Value::Null)?;
        for _ in 0..self.dice.below(3) {
            pause(self.dice.milliseconds(30));
            let verb = verbs[self.dice.below(verbs.len() as u64) as usize];
            last = self.ask("POST", &format!("/containers/{name}/{verb}"), &Value::Null)?;
        }
        self.ask("GET", &format!("/containers/{name}/logs?stdout=1"), &Value::Null)?;
        if self.dice.below(3) > 0 {
            self.ask("DELETE", &format!("/containers/{name}?force=1&v=1"), &Value::Null)?;
        }
        Ok(last)
    }

    /// Runs a program in a container of this hand's own, which may be hit.
    fn exec(&mut self) -> Word {
        let name = format!("mine-{}", self.number);
        let wish = json!({ "Image": IMAGE, "Cmd": ["sleep", "1000"] });
        self.ask("POST", &format!("/containers/create?name={name}"), &wish)?;
        self.ask("POST", &format!("/containers/{name}/start"), &Value::Null)?;
        let wish = json!({ "Cmd": ["echo", "hello"], "AttachStdout": true });
        let Some(made) = self.ask("POST", &format!("/containers/{name}/exec"), &wish)? else {
            return Ok(None);
        };
        let id = made["Id"].as_str().context("no id")?.to_owned();
        let detach = json!({ "Detach": self.dice.below(2) == 0 });
        self.ask("POST", &format!("/exec/{id}/start"), &detach)
    }

    fn look(&mut self) -> Word {
        let paths =
            ["/containers/json?all=1", "/images/json", "/networks", "/volumes", "/system/df", "/info"];
        let path = paths[self.dice.below(paths.len() as u64) as usize];
        self.ask("GET", path, &Value::Null)
    }

    fn network(&mut self) -> Word {
        let name = format!("net-{}", self.number);
        let container = json!({ "Container": format!("mine-{}", self.number), "Force": true });
        self.ask("POST", "/networks/create", &json!({ "Name": name }))?;
        let connected = self.ask("POST", &format!("/networks/{name}/connect"), &container)?;
        pause(self.dice.milliseconds(30));
        self.ask("POST", &format!("/networks/{name}/disconnect"), &container)?;
        self.ask("DELETE", &format!("/networks/{name}"), &Value::Null)?;
        Ok(connected)
    }

    fn pull(&self, name: &str) -> Word {
        let pulled = self.ask("POST", &format!("/images/create?fromImage={name}&tag=1"), &Value::Null)?;
        self.ask("DELETE", &format!("/images/{name}:1?force=1"), &Value::Null)?;
        Ok(pulled)
    }

    fn build(&self) -> Word {
        let dockerfile = format!("FROM {IMAGE}\nENV R={}\nRUN echo $R > /r\nCOPY r /s\n", self.round % 7);
        let context = archive(&[("Dockerfile", &dockerfile), ("r", "r")])?;
        let tag = format!("chaos/built-{}", self.number);
        match self.client.send(&format!("/build?t={tag}&q=1"), &context) {
            Ok(said) if said.status == 200 => Ok(Some(Value::Null)),
            Ok(said) if said.status == 500 => Ok(None),
            Ok(said) => bail!("build: {} {}", said.status, said.text()),
            Err(_) => Ok(None),
        }
    }
}

/// Takes away what the load may have left by its own words: containers that are not removed, networks.
pub(super) fn clear(client: &Client) -> Result<()> {
    let all = settled(client, "/containers/json?all=1")?;
    for container in all.as_array().into_iter().flatten() {
        let id = container["Id"].as_str().context("no id")?;
        let said = client.call("DELETE", &format!("/containers/{id}?force=1&v=1"), &Value::Null)?;
        // one that removes itself may be faster
        ensure!(matches!(said.status, 204 | 404 | 409), "rm {id}: {} {}", said.status, said.text());
    }
    client.ask("POST", "/networks/prune", &Value::Null)?;
    let networks = client.ask("GET", "/networks", &Value::Null)?;
    ensure!(networks.as_array().map(Vec::len) == Some(3), "networks are left: {networks}");
    Ok(())
}
