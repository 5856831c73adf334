//! Legacy links: on the default bridge, which has no names, a container knows others by its hosts file and its
//! environment. A link is kept by the other's id, so that it survives a new name; the address follows at each start.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::network::files::hosts;

use super::mode::NetworkMode;
use super::{Container, HostConfig, Link, NetworkingConfig};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// Links of one container at most.
const MOST: usize = 256;
/// The network whose addresses links tell.
const NETWORK: &str = "bridge";
/// Targets joined through others' networks, at most.
const MOST_JOINED: usize = 16;

/// Finds whom a request links. On a network that has names, links are its endpoint's.
///
/// # Errors
/// A link is malformed; its target does not exist, or has the host's network.
pub(crate) fn settle(
    engine: &Inner,
    host: &HostConfig,
    mode: &NetworkMode,
    networking: &mut NetworkingConfig,
) -> Result<Vec<Link>> {
    let Some(first) = host.links.first() else { return Ok(Vec::new()) };
    match mode {
        NetworkMode::Bridge => {}
        NetworkMode::Custom(name) => {
            let endpoint = networking.endpoints.entry(name.clone()).or_default();
            endpoint.links.extend(
                host.links.iter().filter(|link| !endpoint.links.contains(link)).cloned().collect::<Vec<_>>(),
            );
            return Ok(Vec::new());
        }
        _ => {
            return Err(Error::bad_parameter(format!(
                "link {first}: a container in network mode {} can't be linked",
                host.network_mode
            )));
        }
    }
    if !engine.config.bridge.icc {
        return Err(Error::bad_parameter(format!(
            "link {first}: with --icc=false containers on the default bridge don't reach each other; use a network"
        )));
    }
    if host.links.len() > MOST {
        return Err(Error::bad_parameter(format!("there are more than {MOST} links")));
    }
    let mut links: Vec<Link> = Vec::new();
    for text in &host.links {
        let link = find(engine, text)?;
        // the last one with an alias counts
        links.retain(|have| have.alias != link.alias);
        links.push(link);
    }
    Ok(links)
}

fn find(engine: &Inner, text: &str) -> Result<Link> {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    let alias = if alias.is_empty() { name } else { alias };
    // a link as inspect shows it, `/target:/parent/alias`
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    if name.is_empty() || !is_alias(alias) {
        return Err(Error::bad_parameter(format!("bad format for links: {text}")));
    }
    let gone = |error: Error| {
        error.of_kind(Kind::BadParameter).context(format!("could not get container for {name}"))
    };
    let mut target = engine.containers.find(name).map_err(gone)?.snapshot();
    let id = target.id.clone();
    for _ in 0..MOST_JOINED {
        match NetworkMode::parse(&target.host.network_mode)? {
            NetworkMode::Container(other) => {
                target = engine.containers.find(&other).map_err(gone)?.snapshot()
            }
            NetworkMode::Host => {
                return Err(Error::bad_parameter(
                    "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
                ));
            }
            _ => break,
        }
    }
    Ok(Link { target: id, alias: alias.to_owned() })
}

/// A name as a container may bear it, or of one letter.
fn is_alias(alias: &str) -> bool {
    const MOST: usize = 255;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !alias.is_empty() && alias.len() <= MOST && alias.chars().all(fits)
}

/// A link and the container at its other end, which runs.
struct Known {
    alias: String,
    other: Arc<Container>,
    address: String,
}

/// All links of a container that is to start.
fn known(engine: &Inner, container: &Container) -> Result<Vec<Known>> {
    let look = |link: &Link| {
        let place = format!("/{}/{}", container.name, link.alias);
        let other = engine.containers.find(&link.target).map_err(|_gone| {
            Error::conflict(format!("Cannot link to a removed container: {} AS {place}", link.target))
        })?;
        let other = other.snapshot();
        if other.state.running().is_none() {
            return Err(Error::conflict(format!(
                "Cannot link to a non running container: /{} AS {place}",
                other.name
            )));
        }
        let address =
            other.network.networks.get(NETWORK).and_then(|endpoint| endpoint.ip).ok_or_else(|| {
                Error::conflict(format!(
                    "Cannot link to /{}, as it does not belong to the default network",
                    other.name
                ))
            })?;
        Ok(Known { alias: link.alias.clone(), other, address: address.to_string() })
    };
    container.links.iter().map(look).collect()
}

/// Lines of the hosts file: the alias, the other's hostname, its name.
///
/// # Errors
/// A target does not run, or is not on the default bridge.
pub(crate) fn hosts(engine: &Inner, container: &Container) -> Result<Vec<hosts::Entry>> {
    let line = |known: Known| {
        let mut names = format!("{} {}", known.alias, known.other.config.hostname);
        if known.other.name != known.alias {
            names = format!("{names} {}", known.other.name);
        }
        let ip = known.address.parse().map_err(|_error| Error::system("an address that is none"))?;
        Ok(hosts::Entry { ip, names })
    };
    known(engine, container)?.into_iter().map(line).collect()
}

/// Variables that tell of the others: their addresses, ports, names and variables.
///
/// # Errors
/// A target does not run, or is not on the default bridge.
pub(crate) fn environment(engine: &Inner, container: &Container) -> Result<Vec<String>> {
    if container.links.is_empty() {
        return Ok(Vec::new());
    }
    let all = known(engine, container)?;
    Ok(all.iter().flat_map(|known| variables(container, known)).collect())
}

fn variables(container: &Container, known: &Known) -> Vec<String> {
    let prefix = known.alias.replace('-', "_").to_uppercase();
    let mut env = ports(&prefix, &known.address, &exposed(&known.other));
    env.push(format!("{prefix}_NAME=/{}/{}", container.name, known.alias));
    for var in &known.other.config.env {
        match var.split_once('=') {
            Some(("HOME" | "PATH", _)) | None => {}
            Some(_) => env.push(format!("{prefix}_ENV_{var}")),
        }
    }
    env
}

/// Exposed ports in the order in which the first is the default: by number, TCP first.
fn exposed(container: &Container) -> BTreeSet<(u16, u8, String)> {
    let parsed = container.config.exposed_ports.iter().filter_map(|text| super::parse_port(text).ok());
    let rank = |protocol: &str| u8::from(protocol != "tcp");
    parsed
        .flat_map(|(low, high, protocol)| {
            (low..=high).map(move |port| (port, rank(protocol), protocol.to_owned()))
        })
        .collect()
}

/// `ALIAS_PORT…`: the default port, then each one, and where a run of ports begins and ends.
fn ports(prefix: &str, ip: &str, exposed: &BTreeSet<(u16, u8, String)>) -> Vec<String> {
    let mut env = Vec::new();
    if let Some((port, _, protocol)) = exposed.first() {
        env.push(format!("{prefix}_PORT={protocol}://{ip}:{port}"));
    }
    for (port, rank, protocol) in exposed {
        let name = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        let at = |port: u16| (port, *rank, protocol.clone());
        let begins = *port == 0 || !exposed.contains(&at(port - 1));
        let last = (*port..=u16::MAX).take_while(|port| exposed.contains(&at(*port))).last().unwrap_or(*port);
        if begins && last != *port {
            env.extend([
                format!("{name}_START={protocol}://{ip}:{port}"),
                format!("{name}_PORT_START={port}"),
                format!("{name}_END={protocol}://{ip}:{last}"),
                format!("{name}_PORT_END={last}"),
            ]);
        }
        env.extend([
            format!("{name}={protocol}://{ip}:{port}"),
            format!("{name}_ADDR={ip}"),
            format!("{name}_PORT={port}"),
            format!("{name}_PROTO={protocol}"),
        ]);
    }
    env
}

/// A container has started: the hosts files of those that link it say its address. Blocks.
pub(crate) fn follow(engine: &Inner, container: &Container) {
    let Some(ip) = container.network.networks.get(NETWORK).and_then(|endpoint| endpoint.ip) else { return };
    for (parent, link) in engine.containers.linking(&container.id) {
        super::files::change_hosts(&parent, |text| moved(text, &link.alias, Some(&ip.to_string())));
    }
}

/// A link is gone: so is its line. Blocks.
pub(crate) fn forget(container: &Container, alias: &str) {
    super::files::change_hosts(container, |text| moved(text, alias, None));
}

/// A hosts file in which the line whose first name is `alias` has another address, or is gone.
fn moved(text: &str, alias: &str, ip: Option<&str>) -> String {
    let line = |line: &str| {
        let (_, names) = line.split_once('\t').filter(|(_, names)| names.split(' ').next() == Some(alias))?;
        Some(ip.map(|ip| format!("{ip}\t{names}\n")).unwrap_or_default())
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| format!("{text}\n"))).collect()
}

/// Links as inspect shows them, `/target:/name/alias`.
pub(crate) fn shown(engine: &Inner, container: &Container) -> Vec<String> {
    let show = |link: &Link| {
        let other = engine.containers.find(&link.target).ok()?.snapshot();
        Some(format!("/{}:/{}/{}", other.name, container.name, link.alias))
    };
    let mut all: Vec<_> = container.links.iter().filter_map(show).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_as_docker_tells_them() {
        let exposed = BTreeSet::from(
            [(80, 1, "udp"), (1000, 0, "tcp"), (1001, 0, "tcp")].map(|(a, b, c)| (a, b, c.to_owned())),
        );
        let env = ports("DB", "1.2.3.4", &exposed);
        assert_eq!(env[0], "DB_PORT=udp://1.2.3.4:80");
        for wanted in [
            "DB_PORT_80_UDP_PROTO=udp",
            "DB_PORT_1000_TCP_START=tcp://1.2.3.4:1000",
            "DB_PORT_1000_TCP_PORT_END=1001",
            "DB_PORT_1000_TCP_PORT_START=1000",
            "DB_PORT_1001_TCP=tcp://1.2.3.4:1001",
            "DB_PORT_1001_TCP_ADDR=1.2.3.4",
        ] {
            assert!(env.iter().any(|var| var == wanted), "{wanted}: {env:?}");
        }
        assert_eq!(env.len(), 1 + 3 * 4 + 4);
    }

    #[test]
    fn a_hosts_file_follows() {
        let text = "127.0.0.1\tlocalhost\n10.0.0.2\tdb abc\n10.0.0.3\tme\n";
        assert_eq!(moved(text, "db", Some("10.0.0.9")), text.replace("10.0.0.2", "10.0.0.9"));
        assert_eq!(moved(text, "db", None), "127.0.0.1\tlocalhost\n10.0.0.3\tme\n");
        assert_eq!(moved(text, "abc", None), text);
    }
}
