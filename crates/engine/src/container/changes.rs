//! `update` beyond limits: other ports, mounts, environment and labels for a container that exists. Pure: what a
//! description becomes. Docker has nothing of this; its clients never send it.

use std::collections::{BTreeMap, BTreeSet};

use super::mode::NetworkMode;
use super::{ContainerConfig, HostConfig, Mount, MountPoint, PortBinding};
use crate::error::{Error, Result};

/// What changes. Removals come first, so that a mount or a port can be replaced in one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// `80/tcp` → host addresses, added to those that it has.
    pub publish: BTreeMap<String, Vec<PortBinding>>,
    /// `80[/tcp]` (all its host ports), `8080:80[/tcp]` or `127.0.0.1:8080:80[/tcp]`.
    pub publish_remove: Vec<String>,
    /// More mounts.
    pub mounts: Vec<Mount>,
    /// Paths inside that are mounts no longer. A volume keeps its files.
    pub mounts_remove: Vec<String>,
    /// `NAME=value`, over the value that it has.
    pub env: Vec<String>,
    /// Names of variables.
    pub env_remove: Vec<String>,
    /// Labels, over the values that they have.
    pub labels: BTreeMap<String, String>,
    /// Names of labels.
    pub labels_remove: Vec<String>,
}

impl Changes {
    /// Nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Ports change: a running container's at once.
    pub(crate) fn ports(&self) -> bool {
        !self.publish.is_empty() || !self.publish_remove.is_empty()
    }

    /// Something waits for the next start.
    pub(crate) fn waits(&self) -> bool {
        !self.mounts.is_empty()
            || !self.mounts_remove.is_empty()
            || !self.env.is_empty()
            || !self.env_remove.is_empty()
    }
}

fn bad<T>(sentence: impl Into<String>) -> Result<T> {
    Err(Error::bad_parameter(sentence))
}

/// Changes labels and environment.
///
/// # Errors
/// What is to go is not there; a variable is none.
pub(crate) fn words(config: &mut ContainerConfig, changes: &Changes) -> Result<()> {
    for name in &changes.labels_remove {
        if config.labels.remove(name).is_none() {
            return bad(format!("label {name:?} can't be removed: the container has no such label"));
        }
    }
    if changes.labels.keys().any(String::is_empty) {
        return bad("invalid label: it has no name");
    }
    config.labels.extend(changes.labels.clone());
    let name_of = |var: &str| var.split_once('=').map_or(var, |(name, _)| name).to_owned();
    for name in &changes.env_remove {
        let before = config.env.len();
        config.env.retain(|var| name_of(var) != *name);
        if config.env.len() == before {
            return bad(format!(
                "environment variable {name:?} can't be removed: the container has no such variable"
            ));
        }
    }
    for var in &changes.env {
        if !var.contains('=') || var.starts_with('=') || var.contains('\0') {
            return bad(format!("invalid environment variable: {var:?} (must be NAME=value)"));
        }
        let name = name_of(var);
        match config.env.iter_mut().find(|have| name_of(have) == name) {
            Some(have) => have.clone_from(var),
            None => config.env.push(var.clone()),
        }
    }
    Ok(())
}

/// Changes published ports, and what is exposed with them. `image` is what the image exposes.
///
/// # Errors
/// The container's network can't publish; a port is none, or is not published.
pub(crate) fn ports(
    config: &mut ContainerConfig,
    host: &mut HostConfig,
    image: &BTreeSet<String>,
    changes: &Changes,
) -> Result<()> {
    if !changes.ports() {
        return Ok(());
    }
    if !matches!(NetworkMode::parse(&host.network_mode)?, NetworkMode::Bridge | NetworkMode::Custom(_)) {
        return bad(format!(
            "ports can't be published: the container's network mode is {}",
            host.network_mode
        ));
    }
    for text in &changes.publish_remove {
        unpublish(host, text)?;
    }
    for (port, bindings) in &changes.publish {
        let (low, high, protocol) = super::parse_port(port)?;
        if low != high {
            return bad(format!("invalid port specification: \"{port}\" (one port at a time)"));
        }
        let port = format!("{low}/{protocol}");
        let have = host.port_bindings.entry(port.clone()).or_default();
        have.extend(bindings.iter().filter(|new| !have.contains(new)).cloned().collect::<Vec<_>>());
        config.exposed_ports.insert(port);
    }
    let kept = &host.port_bindings;
    let published_before =
        |port: &String| changes.publish_remove.iter().any(|text| container_port(text) == *port);
    config
        .exposed_ports
        .retain(|port| image.contains(port) || kept.contains_key(port) || !published_before(port));
    Ok(())
}

/// The container's part of a port specification, `80/tcp`.
fn container_port(text: &str) -> String {
    let port = text.rsplit(':').next().unwrap_or(text);
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

fn unpublish(host: &mut HostConfig, text: &str) -> Result<()> {
    let port = container_port(text);
    super::parse_port(&port)?;
    let outer = text.rsplit_once(':').map(|(outer, _)| outer);
    let fits = |binding: &PortBinding| match outer.map(|outer| outer.rsplit_once(':').unwrap_or(("", outer)))
    {
        None => true,
        Some(("", number)) => binding.host_port == number,
        Some((ip, number)) => binding.host_port == number && binding.host_ip == ip.trim_matches(['[', ']']),
    };
    let bindings = host.port_bindings.get_mut(&port).filter(|bindings| bindings.iter().any(fits));
    let Some(bindings) = bindings else {
        return bad(format!("port {text} can't be unpublished: it is not published"));
    };
    bindings.retain(|binding| !fits(binding));
    if bindings.is_empty() {
        host.port_bindings.remove(&port);
    }
    Ok(())
}

/// Takes mounts out, wherever the request that made the container had them.
///
/// # Errors
/// There is none at such a path.
pub(crate) fn unmount(
    config: &mut ContainerConfig,
    host: &mut HostConfig,
    points: &mut Vec<MountPoint>,
    changes: &Changes,
) -> Result<()> {
    for path in &changes.mounts_remove {
        let path = path.trim_end_matches('/');
        let at = |other: &str| other.trim_end_matches('/') == path;
        let count = points.len() + host.tmpfs.len();
        points.retain(|point| !at(&point.destination));
        host.tmpfs.retain(|target, _| !at(target));
        if points.len() + host.tmpfs.len() == count {
            return bad(format!("no mount at {path:?} to be removed"));
        }
        host.mounts.retain(|mount| !at(&mount.target));
        host.binds
            .retain(|bind| !at(bind.split(':').nth(usize::from(bind.contains(':'))).unwrap_or_default()));
        config.volumes.retain(|volume| !at(volume));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(port: &str) -> PortBinding {
        PortBinding { host_ip: String::new(), host_port: port.to_owned() }
    }

    #[test]
    fn ports_are_added_and_removed() {
        let mut config = ContainerConfig::default();
        let mut host = HostConfig { network_mode: "bridge".to_owned(), ..HostConfig::default() };
        let image = BTreeSet::from(["443/tcp".to_owned()]);
        let add = Changes {
            publish: [
                ("80/tcp".to_owned(), vec![binding("8080"), binding("8081")]),
                ("443".to_owned(), vec![binding("")]),
            ]
            .into(),
            ..Changes::default()
        };
        ports(&mut config, &mut host, &image, &add).unwrap();
        assert_eq!(host.port_bindings["80/tcp"].len(), 2);
        assert!(host.port_bindings.contains_key("443/tcp") && config.exposed_ports.contains("80/tcp"));
        let remove = |words: &[&str]| Changes {
            publish_remove: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Changes::default()
        };
        ports(&mut config, &mut host, &image, &remove(&["8080:80"])).unwrap();
        assert_eq!(host.port_bindings["80/tcp"], [binding("8081")]);
        ports(&mut config, &mut host, &image, &remove(&["80", "443/tcp"])).unwrap();
        assert!(host.port_bindings.is_empty());
        assert_eq!(config.exposed_ports, image);
        assert!(ports(&mut config, &mut host, &image, &remove(&["80"])).is_err());
        let mut shared = HostConfig { network_mode: "host".to_owned(), ..HostConfig::default() };
        assert!(ports(&mut config, &mut shared, &image, &add).unwrap_err().to_string().contains("host"));
    }

    #[test]
    fn words_replace_and_go() {
        let mut config =
            ContainerConfig { env: vec!["A=1".into(), "B=2".into()], ..ContainerConfig::default() };
        let changes = Changes {
            env: vec!["A=3".into(), "C=4".into()],
            env_remove: vec!["B".into()],
            labels: [("x".to_owned(), "y".to_owned())].into(),
            ..Changes::default()
        };
        words(&mut config, &changes).unwrap();
        assert_eq!(config.env, ["A=3", "C=4"]);
        assert_eq!(config.labels["x"], "y");
        assert!(words(&mut config, &Changes { env_remove: vec!["B".into()], ..Changes::default() }).is_err());
        assert!(words(&mut config, &Changes { env: vec!["NAME".into()], ..Changes::default() }).is_err());
        assert!(
            words(&mut config, &Changes { labels_remove: vec!["z".into()], ..Changes::default() }).is_err()
        );
    }

    #[test]
    fn mounts_go_from_wherever_they_were_said() {
        let mut config = ContainerConfig { volumes: ["/v".to_owned()].into(), ..ContainerConfig::default() };
        let mut host = HostConfig {
            binds: vec!["/a:/b:ro".into(), "/c".into()],
            tmpfs: [("/t".to_owned(), String::new())].into(),
            ..HostConfig::default()
        };
        let point =
            |destination: &str| MountPoint { destination: destination.into(), ..MountPoint::default() };
        let mut points = vec![point("/b"), point("/c"), point("/v")];
        let gone =
            Changes { mounts_remove: vec!["/b/".into(), "/t".into(), "/v".into()], ..Changes::default() };
        unmount(&mut config, &mut host, &mut points, &gone).unwrap();
        assert_eq!((host.binds, points.len()), (vec!["/c".to_owned()], 1));
        assert!(host.tmpfs.is_empty() && config.volumes.is_empty());
    }
}
