//! One of those who use the guest: makes, changes and removes what bears its name, one request at a time.

use std::sync::mpsc::Sender;

use anyhow::{Result, bail};

use super::model::{Model, Op, Policy};
use crate::vm::session::Session;
use crate::vm::volatile::Dice;

/// How much of each kind a worker has at most.
const MOST: usize = 3;

/// A worker between two cuts.
pub(super) struct Worker {
    name: String,
    dice: Dice,
    count: u64,
    /// What was acknowledged.
    pub(super) model: Model,
    /// What was asked for and not acknowledged.
    pub(super) pending: Option<Op>,
    /// How much was acknowledged.
    pub(super) done: u64,
    /// What was, since the last cut.
    pub(super) since: Vec<Op>,
}

impl Worker {
    pub(super) fn new(index: usize, seed: u64) -> Self {
        let dice = Dice::new(seed ^ (index as u64 + 1) << 32);
        Self {
            name: format!("w{index}"),
            dice,
            count: 0,
            model: Model::default(),
            pending: None,
            done: 0,
            since: Vec::new(),
        }
    }

    /// Its name, which that of all it makes begins with.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Works until the guest is gone, which is no error; what the guest refuses is one. Tells of each operation that was
    /// acknowledged.
    pub(super) fn work(&mut self, session: &mut Session, acknowledged: &Sender<()>) -> Result<()> {
        loop {
            let op = self.next();
            self.pending = Some(op.clone());
            let Ok(answer) = session.ask(&op.command()) else { return Ok(()) };
            if answer.code != 0 {
                bail!("{}: {} ended with {}: {}", self.name, op.command(), answer.code, answer.text);
            }
            op.apply(&mut self.model);
            self.pending = None;
            self.since.push(op);
            self.done += 1;
            // the power may be gone already
            let _ = acknowledged.send(());
        }
    }

    /// What it finds after a cut must be what one of these says.
    pub(super) fn outcomes(&self) -> Vec<Model> {
        match &self.pending {
            Some(op) => op.outcomes(&self.model),
            None => vec![self.model.clone()],
        }
    }

    /// Goes on with what was found.
    pub(super) fn resume(&mut self, model: Model) {
        self.model = model;
        // the machine's start has stopped those that nobody starts again, and started those that a person had stopped
        for container in self.model.containers.values_mut() {
            container.stopped = match container.policy {
                Policy::No => true,
                Policy::Always => false,
                Policy::UnlessStopped => container.stopped,
            };
        }
        self.pending = None;
        self.since.clear();
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{}-{kind}{}", self.name, self.count)
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        let index = self.dice.below(of.len() as u64) as usize;
        of.get(index).cloned()
    }

    fn next(&mut self) -> Op {
        loop {
            let kind = self.dice.below(11);
            if let Some(op) = self.try_kind(kind) {
                return op;
            }
        }
    }

    /// An operation of this kind, if there is something to do it with.
    fn try_kind(&mut self, kind: u64) -> Option<Op> {
        let keys = |map: Vec<&String>| map.into_iter().cloned().collect::<Vec<_>>();
        let volumes = keys(self.model.volumes.keys().collect());
        let networks = keys(self.model.networks.iter().collect());
        let containers = keys(self.model.containers.keys().collect());
        Some(match kind {
            0 | 1 if containers.len() < MOST => {
                let volume = self.pick(&volumes).unwrap_or_else(|| format!("{}-first", self.name));
                let network = self.pick(&networks).unwrap_or_else(|| "bridge".to_owned());
                if !self.model.volumes.contains_key(&volume) {
                    return Some(Op::CreateVolume(volume));
                }
                let policy = self.pick(&Policy::ALL)?;
                Op::Run { name: self.fresh(&format!("c-{volume}-{network}-")), policy, volume, network }
            }
            2 => {
                let running = self.running(&containers);
                Op::Stop(self.pick(&running)?)
            }
            3 => Op::Remove(self.pick(&containers)?),
            4 | 5 => {
                let running = self.running(&containers);
                let container = self.pick(&running)?;
                let volume = volumes.into_iter().find(|volume| uses(&container, volume))?;
                self.count += 1;
                Op::Write { volume, container, line: self.count }
            }
            6 if volumes.len() < MOST => Op::CreateVolume(self.fresh("v")),
            7 => {
                let free = |name: &String| !containers.iter().any(|container| uses(container, name));
                match self.dice.below(2) {
                    0 => Op::RemoveVolume(self.pick(&volumes.into_iter().filter(free).collect::<Vec<_>>())?),
                    _ => {
                        Op::RemoveNetwork(self.pick(&networks.into_iter().filter(free).collect::<Vec<_>>())?)
                    }
                }
            }
            8 if networks.len() < MOST => Op::CreateNetwork(self.fresh("n")),
            9 => {
                // each worker has images of its own in the registry
                let name = format!("localhost:5000/{}:{}", self.name, self.dice.below(3));
                if self.model.pulled.contains(&name) { Op::RemoveImage(name) } else { Op::Pull(name) }
            }
            10 if self.model.built.len() < MOST => {
                let tag = self.fresh("b");
                Op::Build { text: self.count, tag: format!("{tag}:latest") }
            }
            10 => Op::RemoveImage(self.pick(&keys(self.model.built.keys().collect()))?),
            _ => return None,
        })
    }

    fn running(&self, containers: &[String]) -> Vec<String> {
        let runs =
            |name: &&String| self.model.containers.get(*name).is_some_and(|one| one.started && !one.stopped);
        containers.iter().filter(runs).cloned().collect()
    }
}

/// A container's name says what it uses.
fn uses(container: &str, what: &str) -> bool {
    container.contains(&format!("-{what}-"))
}
