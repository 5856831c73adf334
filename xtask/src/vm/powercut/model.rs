//! What there must be after a power cut: what was acknowledged, and of what was not yet, either all or nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Restart policies, and what a start of the machine makes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    No,
    Always,
    UnlessStopped,
}

impl Policy {
    pub(super) const ALL: [Self; 3] = [Self::No, Self::Always, Self::UnlessStopped];

    /// Docker's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

/// A container, as far as a restart of the machine depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) policy: Policy,
    /// It was started once.
    pub(super) started: bool,
    /// A person has stopped it.
    pub(super) stopped: bool,
}

impl Container {
    fn state_after_boot(self) -> &'static str {
        match self {
            Self { started: false, .. } => "created",
            Self { policy: Policy::Always, .. }
            | Self { policy: Policy::UnlessStopped, stopped: false, .. } => "running",
            _ => "exited",
        }
    }
}

/// What one worker has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) containers: BTreeMap<String, Container>,
    /// Volumes and the lines that were synchronised into them.
    pub(super) volumes: BTreeMap<String, Vec<u64>>,
    pub(super) networks: BTreeSet<String>,
    pub(super) pulled: BTreeSet<String>,
    /// Built images, and the text that a step has written into each.
    pub(super) built: BTreeMap<String, u64>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Run { name: String, policy: Policy, volume: String, network: String },
    Stop(String),
    Remove(String),
    Write { volume: String, container: String, line: u64 },
    CreateVolume(String),
    RemoveVolume(String),
    CreateNetwork(String),
    RemoveNetwork(String),
    Pull(String),
    RemoveImage(String),
    Build { tag: String, text: u64 },
}

impl Op {
    /// The command that does it. A write counts when it is synchronised, as for any program.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Run { name, policy, volume, network } => format!(
                "berth run -d --name {name} --restart {} --network {network} -v {volume}:/v box sleep 1000000",
                policy.name()
            ),
            Self::Stop(name) => format!("berth stop -t 0 {name}"),
            Self::Remove(name) => format!("berth rm -f {name}"),
            Self::Write { container, line, .. } => {
                format!("berth exec {container} sh -c 'echo {line} >> /v/log && sync -d /v/log'")
            }
            Self::CreateVolume(name) => format!("berth volume create {name}"),
            Self::RemoveVolume(name) => format!("berth volume rm {name}"),
            Self::CreateNetwork(name) => format!("berth network create {name}"),
            Self::RemoveNetwork(name) => format!("berth network rm {name}"),
            Self::Pull(name) => format!("berth pull -q {name}"),
            Self::RemoveImage(name) => format!("berth rmi {name}"),
            Self::Build { tag, text } => {
                format!("printf 'FROM box\\nRUN echo {text} > /text\\n' | berth build -q -t {tag} -")
            }
        }
    }

    /// What there is when it is done.
    pub(super) fn apply(&self, model: &mut Model) {
        match self {
            Self::Run { name, policy, .. } => {
                let made = Container { policy: *policy, started: true, stopped: false };
                model.containers.insert(name.clone(), made);
            }
            Self::Stop(name) => {
                if let Some(container) = model.containers.get_mut(name) {
                    container.stopped = true;
                }
            }
            Self::Remove(name) => drop(model.containers.remove(name)),
            Self::Write { volume, line, .. } => model.volumes.entry(volume.clone()).or_default().push(*line),
            Self::CreateVolume(name) => drop(model.volumes.insert(name.clone(), Vec::new())),
            Self::RemoveVolume(name) => drop(model.volumes.remove(name)),
            Self::CreateNetwork(name) => drop(model.networks.insert(name.clone())),
            Self::RemoveNetwork(name) => drop(model.networks.remove(name)),
            Self::Pull(name) => drop(model.pulled.insert(name.clone())),
            Self::RemoveImage(name) => {
                model.pulled.remove(name);
                model.built.remove(name);
            }
            Self::Build { tag, text } => drop(model.built.insert(tag.clone(), *text)),
        }
    }

    /// All that there may be if it was cut off: `before`, what it makes, and between them the places where Docker's
    /// command is two requests.
    pub(super) fn outcomes(&self, before: &Model) -> Vec<Model> {
        let mut outcomes = vec![before.clone()];
        let mut between = before.clone();
        match self {
            Self::Run { name, policy, .. } => {
                let made = Container { policy: *policy, started: false, stopped: false };
                between.containers.insert(name.clone(), made);
                outcomes.push(between);
            }
            // it is stopped, and then removed
            Self::Remove(name) => {
                Self::Stop(name.clone()).apply(&mut between);
                outcomes.push(between);
            }
            _ => {}
        }
        let mut after = before.clone();
        self.apply(&mut after);
        outcomes.push(after);
        outcomes
    }
}

impl Model {
    /// The lines that the guest's own account of itself must have, see `observe`.
    pub(super) fn lines(&self) -> BTreeSet<String> {
        let containers = self.containers.iter();
        let mut lines: BTreeSet<String> = containers
            .map(|(name, container)| format!("C {name} {}", container.state_after_boot()))
            .collect();
        lines.extend(self.volumes.iter().map(|(name, written)| {
            let written: Vec<_> = written.iter().map(u64::to_string).collect();
            format!("V {name} {}", written.join(",")).trim_end().to_owned()
        }));
        lines.extend(self.networks.iter().map(|name| format!("N {name}")));
        lines.extend(self.pulled.iter().map(|name| format!("I {name}")));
        lines.extend(self.built.iter().map(|(tag, text)| format!("I {tag} {text}")));
        lines
    }

    /// Whether what is found is what there must be. That a container without a policy has run may be forgotten: its run
    /// ended with the machine.
    pub(super) fn agrees(&self, found: &BTreeSet<String>) -> bool {
        let mut found = found.clone();
        let ended = |one: &Container| one.started && one.policy == Policy::No;
        for (name, _) in self.containers.iter().filter(|(_, one)| ended(one)) {
            if found.remove(&format!("C {name} created")) {
                found.insert(format!("C {name} exited"));
            }
        }
        found == self.lines()
    }

    /// The containers that run after a start of the machine.
    #[cfg(test)]
    fn running(&self) -> usize {
        self.containers.values().filter(|container| container.state_after_boot() == "running").count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_there_or_not() {
        let mut model = Model::default();
        let run = Op::Run {
            name: "c".to_owned(),
            policy: Policy::UnlessStopped,
            volume: "v".to_owned(),
            network: "n".to_owned(),
        };
        let states: Vec<_> = run.outcomes(&model).iter().map(|one| one.lines().into_iter().next()).collect();
        assert_eq!(states, [None, Some("C c created".to_owned()), Some("C c running".to_owned())]);
        run.apply(&mut model);
        assert_eq!(model.running(), 1);
        Op::Stop("c".to_owned()).apply(&mut model);
        assert_eq!(model.lines().into_iter().collect::<Vec<_>>(), ["C c exited"]);
        let found = |state: &str| BTreeSet::from([format!("C c {state}")]);
        assert!(model.agrees(&found("exited")) && !model.agrees(&found("created")));
        if let Some(container) = model.containers.get_mut("c") {
            container.policy = Policy::No;
        }
        assert!(model.agrees(&found("exited")) && model.agrees(&found("created")));
        assert!(!model.agrees(&found("running")));
        Op::CreateVolume("v".to_owned()).apply(&mut model);
        assert!(model.lines().contains("V v"));
        let write = Op::Write { volume: "v".to_owned(), container: "c".to_owned(), line: 7 };
        write.apply(&mut model);
        assert!(model.lines().contains("V v 7"));
    }
}
