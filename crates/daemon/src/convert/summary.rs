//! One line of `docker ps`.

use api::Version;
use api::container as wire;
use engine::container::{Container, Listed, PortBinding};
use jiff::Timestamp;

use super::{legacy, mount, network, size, status};

/// A listed container.
pub(crate) fn summary(listed: &Listed, now: Timestamp, version: Version) -> wire::Summary {
    let container = &*listed.container;
    let mut summary = wire::Summary {
        id: container.id.clone(),
        names: std::iter::once(&container.name)
            .chain(&listed.link_names)
            .map(|name| format!("/{name}"))
            .collect(),
        image: listed.image.clone(),
        image_id: container.image_id.clone(),
        command: command(container),
        created: container.created.as_second(),
        ports: ports(container),
        size_rw: listed.size.map_or(0, |bytes| size(bytes.rw)),
        size_root_fs: listed.size.map_or(0, |bytes| size(bytes.root_fs)),
        labels: container.config.labels.clone(),
        state: container.state.status().name().to_owned(),
        status: status::status(container, now),
        host_config: wire::HostConfigSummary {
            network_mode: container.host.network_mode.clone(),
            annotations: container.host.annotations.clone(),
        },
        health: Some(container.health.as_ref().map_or_else(
            || wire::HealthSummary { status: "none".to_owned(), failing_streak: 0 },
            |health| wire::HealthSummary {
                status: health.status.name().to_owned(),
                failing_streak: i64::from(health.failing_streak),
            },
        )),
        network_settings: wire::NetworkSettingsSummary {
            networks: container
                .network
                .networks
                .iter()
                .map(|(name, end)| (name.clone(), network::endpoint(end)))
                .collect(),
        },
        mounts: container.mounts.iter().map(mount::listed).collect(),
        ..wire::Summary::default()
    };
    legacy::summary(&mut summary, version);
    summary
}

/// The command line; words with a space are quoted for the eye.
fn command(container: &Container) -> String {
    let mut line = container.path.clone();
    for word in &container.args {
        line.push(' ');
        if word.contains(' ') {
            line.extend(["'", word, "'"]);
        } else {
            line.push_str(word);
        }
    }
    line
}

fn ports(container: &Container) -> Vec<wire::Port> {
    let mut out = Vec::new();
    if container.state.running().is_none() {
        return out;
    }
    for (port, bindings) in oci::ports::each(&container.network.ports) {
        let name = port.to_string();
        let (number, kind) = name.split_once('/').unwrap_or((&name, "tcp"));
        let Ok(private_port) = number.parse() else { continue };
        let private = wire::Port { private_port, kind: kind.to_owned(), ..wire::Port::default() };
        match bindings {
            None => out.push(private),
            Some(bindings) => out.extend(bindings.into_iter().map(|one| published(&private, one))),
        }
    }
    out
}

fn published(private: &wire::Port, binding: PortBinding) -> wire::Port {
    wire::Port { ip: binding.host_ip, public_port: binding.host_port.parse().unwrap_or(0), ..private.clone() }
}
