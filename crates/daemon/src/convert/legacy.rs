//! What differs between API versions, in one place: requests of old clients are brought to the newest form
//! before they are read, and the newest answers to the form of the client's version before they are sent.

use api::container::{CreateRequest, InspectResponse, Summary};
use api::events::EventMessage;
use api::image;
use api::network::EndpointSettings;
use api::progress::Message;
use api::system::Info;
use api::{Version, Words};
use serde_json::Value;

use crate::error::{ApiError, Result};

fn before(version: Version, minor: u16) -> bool {
    version < Version::minor(minor)
}

/// Clients that ask for whatever version the daemon names as its newest, and then read members that are gone
/// there: Docker Compose 1.x `ContainerConfig` of an image (until 1.44) and `id` of an event (until 1.51),
/// Ansible's modules `LayersSize` of the disk usage (until 1.52).
const UNAWARE: [&str; 2] = ["docker-compose/1.", "ansible-community.docker"];
/// The last version that has all of them; the Python library on which these clients are built knows none later.
const THEIRS: Version = Version::minor(44);

/// The version whose forms the client reads.
pub(crate) fn understood(version: Version, user_agent: &str) -> Version {
    let unaware = UNAWARE.iter().any(|name| user_agent.starts_with(name));
    if unaware { version.min(THEIRS) } else { version }
}

/// Defaults and fields of `POST /containers/create` that came later than the client.
pub(super) fn create(request: &mut CreateRequest, version: Version) -> Result<()> {
    let host = &mut request.host_config;
    if before(version, 40) && host.ipc_mode.is_empty() {
        "shareable".clone_into(&mut host.ipc_mode);
    }
    if before(version, 41) && host.cgroupns_mode.is_empty() {
        "host".clone_into(&mut host.cgroupns_mode);
    }
    host.mounts.iter_mut().try_for_each(|wish| mount(wish, version))?;
    if before(version, 42) {
        host.console_size = [0; 2];
    }
    if before(version, 43) {
        host.annotations.clear();
    }
    if before(version, 44) {
        if let Some(check) = &mut request.config.healthcheck {
            check.start_interval = 0;
        }
        let endpoints = &request.networking_config.endpoints_config;
        if endpoints.len() > 1 {
            let names: Vec<_> = endpoints.keys().map(String::as_str).collect();
            let names = names.join(", ");
            return Err(ApiError::bad_request(format!(
                "Container cannot be connected to network endpoints: {names}"
            )));
        }
    }
    Ok(())
}

/// Kinds and options of mounts that came later than the client.
fn mount(wish: &mut api::container::Mount, version: Version) -> Result<()> {
    if before(version, 42) {
        // was not looked at
        wish.volume_options.take_if(|_| wish.kind != "volume");
        wish.tmpfs_options.take_if(|_| wish.kind != "tmpfs");
    }
    if let Some(options) = &mut wish.bind_options {
        options.create_mountpoint &= !before(version, 42);
        if before(version, 44) {
            if options.read_only_force_recursive {
                return Err(needs("BindOptions.ReadOnlyForceRecursive", "1.44"));
            }
            options.read_only_non_recursive = true;
        }
    }
    let subpath = wish.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty());
    if before(version, 45) && subpath {
        return Err(needs("VolumeOptions.Subpath", "1.45"));
    }
    if before(version, 48) && wish.kind == "image" {
        return Err(needs("mount type image", "1.48"));
    }
    Ok(())
}

fn needs(what: &str, version: &str) -> ApiError {
    ApiError::bad_request(format!("{what} needs API v{version} or newer"))
}

/// `GET /containers/{id}/json`
pub(super) fn inspect(answer: &mut InspectResponse, version: Version) {
    if before(version, 52) {
        flat_network(answer);
    }
    if before(version, 45) {
        short_id_alias(answer);
    }
    if before(version, 48) {
        answer.image_manifest_descriptor = None;
    }
    if !before(version, 44) && before(version, 46) {
        answer.config.mac_address.clear();
    }
    if before(version, 43) {
        answer.host_config.annotations.clear();
    }
    if before(version, 42) {
        let limits = &mut answer.host_config.resources;
        limits.kernel_memory.get_or_insert_default();
        limits.kernel_memory_tcp.get_or_insert_default();
    }
}

/// Before 1.45 the aliases of an end were all its names but the container's own, the short id among them.
fn short_id_alias(answer: &mut InspectResponse) {
    let Some(short) = answer.id.get(..12) else { return };
    let predefined = ["bridge", "host", "none"];
    let made =
        answer.network_settings.networks.iter_mut().filter(|(name, _)| !predefined.contains(&name.as_str()));
    for (_, end) in made.filter(|(_, end)| !end.aliases.iter().any(|alias| alias == short)) {
        end.aliases.push(short.to_owned());
    }
}

/// Before 1.52 the default network's end stood beside the list of networks, too.
fn flat_network(answer: &mut InspectResponse) {
    let network = &mut answer.network_settings;
    let end = match answer.host_config.network_mode.as_str() {
        "default" | "bridge" => network.networks.get("bridge").cloned(),
        _ => None,
    };
    let EndpointSettings {
        endpoint_id,
        gateway,
        global_ipv6_address,
        global_ipv6_prefix_len,
        ip_address,
        ip_prefix_len,
        ipv6_gateway,
        mac_address,
        ..
    } = end.unwrap_or_default();
    network.bridge = Some(String::new());
    network.hairpin_mode = Some(false);
    network.link_local_ipv6_address = Some(String::new());
    network.link_local_ipv6_prefix_len = Some(0);
    network.secondary_ip_addresses = Some(None);
    network.secondary_ipv6_addresses = Some(None);
    network.endpoint_id = Some(endpoint_id);
    network.gateway = Some(gateway);
    network.global_ipv6_address = Some(global_ipv6_address);
    network.global_ipv6_prefix_len = Some(global_ipv6_prefix_len);
    network.ip_address = Some(ip_address);
    network.ip_prefix_len = Some(ip_prefix_len);
    network.ipv6_gateway = Some(ipv6_gateway);
    network.mac_address = Some(mac_address);
}

/// `GET /containers/json`
pub(super) fn summary(answer: &mut Summary, version: Version) {
    if before(version, 52) {
        answer.health = None;
    }
    if before(version, 48) {
        answer.image_manifest_descriptor = None;
    }
    if before(version, 46) {
        answer.host_config.annotations.clear();
    }
}

/// Fields of a container that an image's `Config` showed until 1.49.
const CONTAINER_ONLY: [&str; 12] = [
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Domainname",
    "Hostname",
    "Image",
    "MacAddress",
    "NetworkDisabled",
    "OpenStdin",
    "StdinOnce",
    "StopTimeout",
    "Tty",
];

/// `GET /images/{name}/json`
pub(super) fn image_inspect(answer: &mut image::InspectResponse, version: Version) {
    if before(version, 44) {
        answer.virtual_size = Some(answer.size);
    }
    if before(version, 45) {
        answer.container = Some(String::new());
        answer.container_config =
            Some(api::container::Config { cmd: Words(None), ..api::container::Config::default() });
    }
    if before(version, 52) {
        answer.docker_version.get_or_insert_default();
        answer.parent.get_or_insert_default();
    } else {
        answer.parent = answer.parent.take().filter(|parent| !parent.is_empty());
    }
    let Value::Object(config) = &mut answer.config else { return };
    // An image without labels has none, where a container's are an empty map.
    if let Some(labels) = config.get_mut("Labels").filter(|labels| is_empty(labels)) {
        *labels = Value::Null;
    }
    if !before(version, 50) {
        CONTAINER_ONLY.iter().for_each(|name| drop(config.remove(*name)));
    }
    if !before(version, 52) {
        config.retain(|_, value| !is_empty(value));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

/// `GET /images/json`
pub(super) fn image_summary(answer: &mut image::Summary, version: Version) {
    if before(version, 44) {
        answer.virtual_size = Some(answer.size);
    }
}

/// A line of progress.
pub(super) fn message(message: Message, version: Version) -> Message {
    if before(version, 52) { message.drawn() } else { message }
}

/// `GET /events`
pub(super) fn event(answer: &mut EventMessage, version: Version) {
    if !before(version, 52) {
        return;
    }
    answer.status = match answer.kind.as_str() {
        "container" | "image" => answer.action.clone(),
        _ => String::new(),
    };
    if !answer.status.is_empty() {
        answer.id.clone_from(&answer.actor.id);
    }
    if answer.kind == "container" {
        answer.from = answer.actor.attributes.get("image").cloned().unwrap_or_default();
    }
}

/// `GET /info`
pub(super) fn info(answer: &mut Info, version: Version) {
    if !before(version, 50) {
        answer.bridge_nf_iptables = None;
        answer.bridge_nf_ip6tables = None;
    }
    if !before(version, 42) {
        answer.cluster_store.clear();
        answer.cluster_advertise.clear();
    }
    if before(version, 42) {
        // As a kernel without them: limits of its memory are taken and left out.
        (answer.kernel_memory, answer.kernel_memory_tcp) = (Some(false), Some(false));
    }
    if before(version, 49) {
        answer.firewall_backend = None;
        for commit in [&mut answer.containerd_commit, &mut answer.runc_commit, &mut answer.init_commit] {
            commit.expected = Some(commit.id.clone());
        }
    } else {
        let registries = &mut answer.registry_config;
        registries.allow_nondistributable_artifacts_cidrs = None;
        registries.allow_nondistributable_artifacts_hostnames = None;
    }
}

/// Which forms of `GET /system/df` a version gets: (until 1.52, since 1.52).
pub(super) fn disk_usage(version: Version) -> (bool, bool) {
    (before(version, 53), !before(version, 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_get_the_forms_that_they_read() {
        let compose = "docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1";
        assert_eq!(understood(api::version::MAX, compose), Version::minor(44));
        assert_eq!(understood(Version::minor(41), compose), Version::minor(41));
        assert_eq!(understood(api::version::MAX, "ansible-community.docker"), Version::minor(44));
        assert_eq!(understood(api::version::MAX, "docker-compose/2.1"), api::version::MAX);
    }
}
