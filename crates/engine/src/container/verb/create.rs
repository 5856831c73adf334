//! `create`: a description becomes a container that can be started.

use std::sync::Arc;

use jiff::Timestamp;

use crate::Engine;
use crate::config::BridgeConfig;
use crate::container::book::Taken;
use crate::container::check::{check_limits, check_network, check_settings};
use crate::container::mode::{self, NamespaceMode, NetworkMode};
use crate::container::record::{self, Durability};
use crate::container::security::{Seccomp, selinux};
use crate::container::task::{Task, blocking, event};
use crate::container::{
    Container, ContainerConfig, HostConfig, NetworkingConfig, State, links, logging, merge, rootfs, spec,
    system,
};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::image::parse_id;
use crate::userns::{IdMap, Ids};
use crate::volume::Claim;

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// Name without slash; `None` = a made-up one.
    pub name: Option<String>,
    /// `os[/arch[/variant]]`; empty = the host's.
    pub platform: String,
    /// Portable half.
    pub config: ContainerConfig,
    /// This host's half.
    pub host: HostConfig,
    /// Networks.
    pub networking: NetworkingConfig,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Id.
    pub id: String,
    /// Sentences about what can't be done here and was left out.
    pub warnings: Vec<String>,
}

/// Attempts at a made-up name before one is given a number.
const NAME_ATTEMPTS: u32 = 6;

impl Engine {
    /// Makes a container.
    ///
    /// # Errors
    /// No such image; name taken; a setting is wrong or can't be had.
    pub async fn container_create(&self, request: CreateRequest) -> Result<Created> {
        let id = crate::id::random()?;
        let name = self.reserve_name(request.name.as_deref(), &id)?;
        let engine = Arc::clone(&self.0);
        let made = {
            let (id, name) = (id.clone(), name.clone());
            blocking(move || make(&engine, id, name, request)).await
        };
        match made {
            Ok(Made { container, warnings, kept }) => {
                let event = event(&container, "create", &[]);
                Task::spawn(&self.0, container, None);
                // the registry knows the volumes' user now, and whose the ids and the level are
                drop(kept);
                self.0.events.publish(event);
                Ok(Created { id, warnings })
            }
            Err(error) => {
                self.0.containers.release(&name, &id);
                Err(error)
            }
        }
    }

    fn reserve_name(&self, asked: Option<&str>, id: &str) -> Result<String> {
        if let Some(asked) = asked.filter(|name| !name.is_empty()) {
            let name = crate::id::container_name(asked)?.to_owned();
            self.0.containers.reserve(&name, id)?;
            return Ok(name);
        }
        for attempt in 0..NAME_ATTEMPTS {
            let name = crate::id::made_up(attempt)?;
            if self.0.containers.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        let name = id[..12].to_owned();
        self.0.containers.reserve(&name, id)?;
        Ok(name)
    }
}

/// A container on disk that the registry does not know yet.
struct Made {
    container: Container,
    warnings: Vec<String>,
    /// Volumes, ids and a level that are kept for it until then.
    kept: (Claim, Option<Taken<IdMap>>, Option<Taken<String>>),
}

/// Makes the container on disk, or leaves nothing. Blocks.
fn make(engine: &Arc<Inner>, id: String, name: String, request: CreateRequest) -> Result<Made> {
    let system = system::asked(&request.host)?;
    let (mut container, warnings) = settle(engine, id, name, request)?;
    let claim = crate::volume::claim(engine, &container.id, &container.mounts);
    let image = parse_id(&container.image_id).ok_or_else(|| Error::no_such_image(&container.config.image))?;
    record::make_directory(&engine.layout, &container.id)?;
    let made = rootfs::create(engine, &container, &image).and_then(|()| {
        system::settle(engine, &mut container, system)?;
        let ids = crate::userns::take(engine, &mut container)?;
        let level = selinux::take(engine, &mut container)?;
        crate::volume::prepare(engine, &container)?;
        record::write(&engine.layout, &container, Durability::Disk.of(&container))?;
        Ok((ids, level))
    });
    match made {
        Ok((ids, level)) => Ok(Made { container, warnings, kept: (claim, ids, level) }),
        Err(error) => {
            undo(engine, &container);
            Err(error)
        }
    }
}

/// Takes a half-made container away; what fails here is swept at the next start.
fn undo(engine: &Inner, container: &Container) {
    let removed = engine.store.remove_snapshot(&container.id);
    if let Err(error) = removed {
        tracing::warn!(container = %container.id, %error, "a half-made root file system stays until the next start");
    }
    if let Err(error) = record::remove_directory(&engine.layout, &container.id) {
        tracing::warn!(container = %container.id, %error, "a half-made container stays until the next start");
    }
    crate::volume::leave(engine, container, true);
}

/// Checks a request, and completes it with the image's and the daemon's defaults.
fn settle(
    engine: &Inner,
    id: String,
    name: String,
    request: CreateRequest,
) -> Result<(Container, Vec<String>)> {
    let CreateRequest { platform, mut config, mut host, mut networking, .. } = request;
    let image = engine.find_image(&config.image)?;
    fits(&image, &platform, &config.image)?;
    merge::with_image(&mut config, merge::from_image(&image.image.config().config));
    let (path, args) = merge::command(&config).ok_or_else(|| Error::bad_parameter("no command specified"))?;
    check_settings(&config, &host)?;
    let mut warnings = check_limits(&mut host.resources, &engine.host, false)?;
    default_network(&config, &mut host, &mut networking, &engine.config.bridge)?;
    let mode = check_network(&config, &host, &networking)?;
    crate::container::fold_set(&mut config.exposed_ports);
    host.port_bindings = oci::ports::fold(host.port_bindings);
    let links = links::settle(engine, &host, &mode, &mut networking)?;
    complete(engine, &mut host, &mode, &mut warnings)?;
    let ids = crate::userns::settle(engine, &host)?;
    if config.user.is_empty()
        && let Ids::Common(ids) = &ids
        && let Some((uid, gid)) = crate::userns::user(&host, ids)
    {
        config.user = format!("{uid}:{gid}");
    }
    if config.hostname.is_empty() {
        config.hostname = hostname(engine, &id, &host, &mode)?;
    }
    let mounts = crate::volume::plan(engine, &config, &host, &ids)?;
    let network = crate::network::initial(engine, &mode, &config, &networking);
    let log_path = (host.log_config.driver == "json-file").then(|| engine.layout.log(&id));
    let container = Container {
        created: Timestamp::now(),
        image_id: image.id.as_str().to_owned(),
        os: "linux".to_owned(),
        path,
        args,
        state: State::Created { failure: None },
        restart_count: 0,
        run: 0,
        stopped_by_hand: false,
        restart_cancelled: false,
        network,
        mounts,
        storage_driver: engine.store.driver().name().to_owned(),
        health: None,
        log_path,
        hostname_path: engine.layout.hostname(&id),
        hosts_path: engine.layout.hosts(&id),
        resolv_conf_path: engine.layout.resolv_conf(&id),
        system: false,
        ids: if let Ids::Common(ids) = ids { Some(ids) } else { None },
        links,
        process_label: String::new(),
        mount_label: String::new(),
        exec_ids: Vec::new(),
        config: Arc::new(config),
        host: Arc::new(host),
        networking: Arc::new(networking),
        id,
        name,
    };
    engine.judge_container(&container)?;
    verify(engine, &container)?;
    Ok((container, warnings))
}

/// The image must be for this machine, and what was asked for.
fn fits(image: &store::ImageSummary, platform: &str, name: &str) -> Result<()> {
    if platform.is_empty() {
        return Ok(());
    }
    let wanted = oci::Platform::parse(platform).map_err(Error::bad_parameter)?;
    let have = image.image.platform();
    if have.os == wanted.os && have.architecture == wanted.architecture {
        return Ok(());
    }
    Err(Error::not_found(format!(
        "image with reference {name} was found but does not provide the specified platform ({platform})"
    )))
}

/// `NetworkDisabled`, and a daemon without a default bridge (`--bridge=none`), leave loopback only.
fn default_network(
    config: &ContainerConfig,
    host: &mut HostConfig,
    networking: &mut NetworkingConfig,
    bridge: &BridgeConfig,
) -> Result<()> {
    let off = bridge.name == "none";
    match host.network_mode.as_str() {
        "bridge" if off => {
            return Err(Error::bad_parameter("the network bridge is turned off (--bridge=none)"));
        }
        "" | "default" if off || config.network_disabled => {}
        "bridge" if config.network_disabled => {}
        "" | "default" | "none" => return Ok(()),
        other if config.network_disabled => {
            return Err(Error::bad_parameter(format!(
                "conflicting options: NetworkDisabled and the network mode {other}"
            )));
        }
        _ => return Ok(()),
    }
    // what is wished of an endpoint is judged as for any other container without a network
    for name in ["default", "bridge"] {
        if let Some(asked) = networking.endpoints.remove(name) {
            networking.endpoints.insert("none".to_owned(), asked);
        }
    }
    "none".clone_into(&mut host.network_mode);
    Ok(())
}

/// The daemon's defaults, where the request says nothing.
fn complete(
    engine: &Inner,
    host: &mut HostConfig,
    mode: &NetworkMode,
    warnings: &mut Vec<String>,
) -> Result<()> {
    if matches!(host.network_mode.as_str(), "" | "default") {
        "bridge".clone_into(&mut host.network_mode);
    }
    host.log_config = logging::complete(&host.log_config, &engine.config.log);
    if host.shm_size == 0 {
        host.shm_size =
            if engine.config.default_shm_size > 0 { engine.config.default_shm_size } else { 64 << 20 };
    }
    if host.ipc_mode.is_empty() {
        let default = &engine.config.default_ipc_mode;
        host.ipc_mode = if default.is_empty() { "private".to_owned() } else { default.clone() };
    }
    if host.cgroupns_mode.is_empty() {
        let private = mode::parse_cgroupns("", &engine.config.default_cgroupns_mode, engine.host.cgroup_v2)?;
        let shared = host.privileged && !engine.host.cgroup_v2;
        // the host's tree is none of a container's that has no group of its own in it
        let own = private == NamespaceMode::Private && !shared || !engine.host.cgroups;
        let word = if own { "private" } else { "host" };
        word.clone_into(&mut host.cgroupns_mode);
    }
    host.resources.oom_kill_disable.get_or_insert(false);
    if !host.security_opt.iter().any(|option| option.starts_with("label")) {
        let labels = labels(engine, host)?;
        host.security_opt.extend(labels);
    }
    if host.runtime.is_empty() {
        host.runtime.clone_from(&engine.config.default_runtime);
    }
    engine.runtime(&host.runtime)?;
    let published = !host.port_bindings.is_empty() || host.publish_all_ports;
    if *mode == NetworkMode::Host && published {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    if let NetworkMode::Custom(name) = mode
        && published
        && let Ok(network) = engine.find_network(name)
        && matches!(network.driver.as_str(), "macvlan" | "ipvlan")
    {
        warnings.push(format!(
            "Published ports are discarded when using a network of the driver {}: containers are reached at their \
             own addresses",
            network.driver
        ));
    }
    Ok(())
}

/// What Docker says of SELinux's labels where the request does not: without separation there are none, and who joins
/// another container has those of that one.
fn labels(engine: &Inner, host: &HostConfig) -> Result<Vec<String>> {
    if host.privileged || host.pid_mode == "host" || host.ipc_mode == "host" {
        return Ok(vec!["label=disable".to_owned()]);
    }
    if !engine.selinux.is_enabled() {
        return Ok(Vec::new());
    }
    let mut found: Vec<Vec<String>> = Vec::new();
    for mode in [&host.ipc_mode, &host.pid_mode] {
        if let Some(name) = mode.strip_prefix("container:") {
            found.push(engine.selinux.options_of(&engine.containers.find(name)?.snapshot()));
        }
    }
    match found.as_slice() {
        [ipc, pid] if !ipc.is_empty() && !pid.is_empty() && ipc != pid => {
            Err(Error::bad_parameter("--ipc and --pid containers SELinux labels aren't the same"))
        }
        _ => Ok(found.into_iter().find(|labels| !labels.is_empty()).unwrap_or_default()),
    }
}

/// The host's name where the namespace is the host's, another container's where it is that, else the short id.
fn hostname(engine: &Inner, id: &str, host: &HostConfig, mode: &NetworkMode) -> Result<String> {
    if let NetworkMode::Container(name) = mode {
        // Like a missing network, a missing container is told at the start.
        if let Ok(other) = engine.containers.find(name) {
            return Ok(other.snapshot().config.hostname.clone());
        }
    }
    if host.uts_mode == "host" || *mode == NetworkMode::Host {
        return Ok(rustix::system::uname().nodename().to_string_lossy().into_owned());
    }
    Ok(id[..12].to_owned())
}

/// What would only fail at the start otherwise: options that can be judged now.
fn verify(engine: &Inner, container: &Container) -> Result<()> {
    let host = &container.host;
    let security = engine.security(host)?;
    let capabilities = spec::capabilities(host.privileged, &host.cap_add, &host.cap_drop)?;
    if security.seccomp != Seccomp::Default {
        crate::container::security::filter(&security.seccomp, &capabilities)?;
    }
    for rule in &host.resources.device_cgroup_rules {
        spec::parse_rule(rule)?;
    }
    crate::container::host::block_devices(&host.resources)?;
    crate::network::ports(container)?;
    logging::request(engine, container)?;
    if host.init.unwrap_or(engine.config.init) {
        engine.init_program()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bridge_the_default_is_loopback() {
        let settled = |disabled, bridge: &str, mode: &str| {
            let config = ContainerConfig { network_disabled: disabled, ..ContainerConfig::default() };
            let mut host = HostConfig { network_mode: mode.to_owned(), ..HostConfig::default() };
            let bridge = BridgeConfig { name: bridge.to_owned(), ..BridgeConfig::default() };
            let mut networking = NetworkingConfig::default();
            networking.endpoints.insert(mode.to_owned(), Default::default());
            default_network(&config, &mut host, &mut networking, &bridge).ok()?;
            assert!(networking.endpoints.contains_key(&host.network_mode));
            Some(host.network_mode)
        };
        assert_eq!(settled(false, "", "default").as_deref(), Some("default"));
        assert_eq!(settled(false, "none", "default").as_deref(), Some("none"));
        assert_eq!(settled(false, "none", "host").as_deref(), Some("host"));
        assert_eq!(settled(false, "none", "bridge"), None);
        assert_eq!(settled(true, "", "bridge").as_deref(), Some("none"));
        assert_eq!(settled(true, "", "host"), None);
    }
}
