//! Containers whose shims are killed, and what must be counted of it.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{leaks, programs};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use super::settled;
use super::watched::Watched;
use crate::client::Client;
use crate::dice::Dice;

pub(super) struct Victims {
    ids: Vec<String>,
    /// Ends of their runs by our hand.
    ends: BTreeMap<String, u64>,
    /// Shims that were killed already and may not be gone from the list.
    killed: HashSet<i32>,
}

/// A shim that is to be killed.
pub(super) struct Aim {
    pid: i32,
    pidfd: OwnedFd,
    victim: Option<String>,
}

impl Victims {
    pub(super) fn start(client: &Client, count: usize, seed: u64) -> Result<Self> {
        let mark = 100_000_000 + seed % 100_000_000;
        let wish = json!({
            "Image": IMAGE,
            "Cmd": ["sleep", mark.to_string()],
            "HostConfig": { "RestartPolicy": { "Name": "always" } },
        });
        let mut victims = Self { ids: Vec::new(), ends: BTreeMap::new(), killed: HashSet::new() };
        for _ in 0..count {
            let made = client.ask("POST", "/containers/create", &wish)?;
            let id = made["Id"].as_str().context("no id")?.to_owned();
            client.ask("POST", &format!("/containers/{id}/start"), &Value::Null)?;
            victims.ids.push(id);
        }
        Ok(victims)
    }

    /// A shim: of a victim, or of whatever else is under way but is not watched. A victim is hit only in a run that the
    /// daemon tells of: a start that fails is the last one, as in Docker, and what nobody has noted nobody can count.
    /// Shims at their birth are hit among the others.
    pub(super) fn aim(&self, berth: &Berth, dice: &mut Dice, watched: &Watched) -> Result<Option<Aim>> {
        let shims: Vec<_> = leaks::processes(berth.root())?
            .into_iter()
            .filter(|line| line.contains("berth-shim") && !watched.has(line))
            .filter_map(|line| Some((line.split(' ').next()?.parse().ok()?, line)))
            .filter(|(pid, _): &(i32, String)| !self.killed.contains(pid))
            .collect();
        if shims.is_empty() {
            return Ok(None);
        }
        let (pid, line) = &shims[dice.below(shims.len() as u64) as usize];
        let Some(process) = Pid::from_raw(*pid) else { return Ok(None) };
        let Ok(pidfd) = pidfd_open(process, PidfdFlags::empty()) else { return Ok(None) };
        let victim = self.ids.iter().find(|id| line.contains(id.as_str())).cloned();
        let client = Client::new(berth.root());
        let fits = victim.as_ref().is_none_or(|id| is_noted(&client, id, *pid));
        Ok(fits.then_some(Aim { pid: *pid, pidfd, victim }))
    }

    /// Kills it; how many that were.
    pub(super) fn fire(&mut self, aim: Aim) -> u64 {
        if pidfd_send_signal(&aim.pidfd, Signal::KILL).is_err() {
            return 0;
        }
        self.killed.insert(aim.pid);
        if let Some(id) = aim.victim {
            *self.ends.entry(id).or_default() += 1;
        }
        1
    }

    /// All run again, and each end was counted once; how many there were.
    pub(super) fn judge(&self, client: &Client) -> Result<u64> {
        let mut counted = 0;
        for id in &self.ids {
            let look = || settled(client, &format!("/containers/{id}/json"));
            programs::eventually("a victim runs again", || {
                Ok((look()?["State"]["Running"] == true).then_some(()))
            })
            .with_context(|| format!("{id}: {:?}", look().map(|told| told["State"].clone())))?;
            let restarts = look()?["RestartCount"].as_u64().context("no RestartCount")?;
            let ends = self.ends.get(id).copied().unwrap_or_default();
            ensure!(
                restarts == ends,
                "{id} was restarted {restarts} times, and its shim killed {ends} times"
            );
            counted += restarts;
        }
        Ok(counted)
    }
}

/// Whether the daemon tells of the run that this shim has. The shim is its first process's parent.
fn is_noted(client: &Client, id: &str, shim: i32) -> bool {
    let Ok(said) = client.call("GET", &format!("/containers/{id}/json"), &Value::Null) else { return false };
    let told: Value = serde_json::from_slice(&said.body).unwrap_or_default();
    let pid = told["State"]["Pid"].as_i64().unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<i32>().ok());
    told["State"]["Running"] == true && parent == Some(shim)
}
