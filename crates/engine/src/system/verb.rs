//! What can be asked of the engine about itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Info, Version};
use crate::Engine;
use crate::container::Status;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Result;
use crate::events::{Event, EventKind, EventsOptions};
use crate::{Stream, config};

impl Engine {
    /// What the engine is and where it runs.
    #[must_use]
    pub fn version(&self) -> Version {
        let uname = rustix::system::uname();
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: option_env!("BERTH_COMMIT").unwrap_or_default().to_owned(),
            build_time: option_env!("BERTH_BUILD_TIME").unwrap_or_default().to_owned(),
            os: "linux".to_owned(),
            arch: crate::image::go_arch().to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
        }
    }

    /// The engine's state in numbers and names.
    ///
    /// # Errors
    /// The host can't be read.
    pub async fn info(&self) -> Result<Info> {
        let engine = self.clone();
        blocking(move || Ok(engine.gather())).await
    }

    fn gather(&self) -> Info {
        let engine = &self.0;
        let statuses: Vec<_> =
            engine.containers.all().iter().map(|entry| entry.snapshot().state.status()).collect();
        let count = |wanted: &[Status]| statuses.iter().filter(|status| wanted.contains(status)).count();
        let (running, paused) = (count(&[Status::Running, Status::Restarting]), count(&[Status::Paused]));
        let uname = rustix::system::uname();
        let release = release();
        let field = |name: &str| release.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let host = &engine.host;
        Info {
            id: engine.id.clone(),
            running,
            paused,
            stopped: statuses.len() - running - paused,
            images: engine.store.images().len(),
            storage_driver: engine.store.driver().name().to_owned(),
            driver_status: driver_status(engine),
            data_root: engine.config.data_root.to_string_lossy().into_owned(),
            memory_limit: host.memory,
            swap_limit: host.swap,
            cpu_cfs: host.cpu,
            cpu_shares: host.cpu,
            cpu_set: host.cpuset,
            pids_limit: host.pids,
            oom_kill_disable: !host.cgroup_v2,
            firewall: engine.config.bridge.firewall,
            bridge_firewall: (
                is_on("net/bridge/bridge-nf-call-iptables"),
                is_on("net/bridge/bridge-nf-call-ip6tables"),
            ),
            ipv4_forwarding: is_on("net/ipv4/ip_forward"),
            debug: engine.config.debug,
            fds: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            events_listeners: engine.events.listeners(),
            // as in Docker, that nothing is kept is no driver's work
            log_drivers: logdriver::DRIVERS
                .iter()
                .filter(|name| **name != "none")
                .map(ToString::to_string)
                .collect(),
            default_log_driver: engine.config.log.driver.clone(),
            volume_drivers: vec!["local".to_owned()],
            network_drivers: ["bridge", "host", "null"].map(str::to_owned).to_vec(),
            cluster: engine
                .cluster
                .as_ref()
                .map(|part| (part.cluster.url().to_owned(), part.advertise.clone())),
            cgroup_driver: engine.config.cgroup_driver,
            cgroup_version: if host.cgroup_v2 { 2 } else { 1 },
            kernel: uname.release().to_string_lossy().into_owned(),
            operating_system: field("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
            os_version: field("VERSION_ID").unwrap_or_default(),
            machine: uname.machine().to_string_lossy().into_owned(),
            cpus: host.cpus,
            memory: engine.machine.memory,
            name: uname.nodename().to_string_lossy().into_owned(),
            cdi_directories: engine.config.cdi_directories.clone(),
            labels: engine.config.labels.clone(),
            runtimes: self.runtimes(),
            default_runtime: engine.config.default_runtime.clone(),
            registries: engine.registries.effective(),
            security_options: security_options(engine),
            init_binary: "docker-init".to_owned(),
            warnings: self.warnings(),
        }
    }

    fn runtimes(&self) -> BTreeMap<String, config::Runtime> {
        let mut runtimes = self.0.config.runtimes.clone();
        for name in [config::BUILT_IN_RUNTIME, "runc"] {
            let runtime = runtimes.entry(name.to_owned()).or_default();
            // linked into the shim
            if runtime.path.is_empty() {
                runtime.path = self.0.config.shim.to_string_lossy().into_owned();
            }
        }
        runtimes
    }

    fn warnings(&self) -> Vec<String> {
        let host = &self.0.host;
        let mut warnings = Vec::new();
        if !host.cgroups {
            warnings.push(format!(
                "WARNING: Running in rootless-mode without cgroups: no limit has an effect: {}",
                self.0.config.no_cgroups
            ));
        }
        let mut warn = |missing: bool, text: &str| {
            if missing {
                warnings.push(format!("WARNING: {text}"));
            }
        };
        warn(!host.memory, "No memory limit support");
        warn(!host.swap, "No swap limit support");
        warn(!host.pids, "No pids limit support");
        // of a part of the hierarchy that a user has been given
        warn(host.cgroups && !host.cpu, "No cpu cfs quota support");
        warn(host.cgroups && !host.cpu, "No cpu shares support");
        warn(host.cgroups && !host.cpuset, "No cpuset support");
        warn(host.cgroups && !host.io, "No io limit support");
        let lost = self.0.config.rootless && !super::outward::leads_out();
        warn(
            lost,
            "No way out of the daemon's network: neither pasta nor slirp4netns connects it with the host's",
        );
        warnings.extend(self.0.network.warnings());
        warnings
    }

    /// Tells that the configuration was read again, and what now holds.
    pub fn reloaded(&self, mut attributes: BTreeMap<String, String>) {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        attributes.insert("name".to_owned(), name);
        self.0.events.publish(Event {
            kind: EventKind::Daemon,
            action: "reload".to_owned(),
            id: self.0.id.clone(),
            attributes,
            time: jiff::Timestamp::now(),
        });
    }

    /// What happens, and happened.
    ///
    /// # Errors
    /// A filter is unknown.
    pub fn events(&self, options: EventsOptions) -> Result<Stream<Event>> {
        options.filters.only(&[
            "config",
            "container",
            "daemon",
            "event",
            "image",
            "label",
            "network",
            "node",
            "plugin",
            "scope",
            "secret",
            "service",
            "type",
            "volume",
        ])?;
        let filters = options.filters.clone();
        Ok(self.0.events.stream(&options, move |event| wanted(event, &filters)))
    }
}

/// Whether an event passes the filters.
fn wanted(event: &Event, filters: &crate::filters::Filters) -> bool {
    let named = |name: &str, kind: EventKind| {
        filters.any(name, |wanted| {
            let called = event.attributes.get("name").is_some_and(|have| have.starts_with(wanted));
            event.kind == kind && (event.id.starts_with(wanted) || called)
        })
    };
    let image = filters.any("image", |wanted| {
        let attribute = if event.kind == EventKind::Image { "name" } else { "image" };
        let have = event.attributes.get(attribute).map(String::as_str).unwrap_or_default();
        let bare = have.rsplit_once(':').map_or(have, |(bare, _)| bare);
        (event.kind == EventKind::Image && event.id.starts_with(wanted)) || have == wanted || bare == wanted
    });
    let action = filters.any("event", |wanted| {
        event.action == wanted || event.action.split_once(':').is_some_and(|(verb, _)| verb == wanted)
    });
    action
        && image
        && filters.exact("type", event.kind.name())
        && filters.exact("scope", "local")
        && filters.labels("label", &event.attributes)
        && named("container", EventKind::Container)
        && named("network", EventKind::Network)
        && named("volume", EventKind::Volume)
        && named("daemon", EventKind::Daemon)
        // kinds that only Swarm has
        && ["config", "node", "plugin", "secret", "service"].iter().all(|name| !filters.contains(name))
}

/// Whether a switch of sysctl(8) is on.
fn is_on(switch: &str) -> bool {
    fs::read_to_string(Path::new("/proc/sys").join(switch)).is_ok_and(|text| text.trim() == "1")
}

/// What Docker tells of its overlay driver: ours reads changes from the upper directory alone, and marks them by
/// attributes that only root may set, where the daemon is the machine's root.
fn driver_status(engine: &Inner) -> Vec<(String, String)> {
    let mut status = vec![("Backing Filesystem", file_system(&engine.config.data_root))];
    if engine.store.driver() == store::Driver::Overlay {
        let marks = if engine.config.rootless { "true" } else { "false" };
        status.extend([("Supports d_type", "true"), ("Native Overlay Diff", "true"), ("userxattr", marks)]);
    }
    status.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Docker's word for the file system that a path is on (statfs(2)).
fn file_system(path: &Path) -> &'static str {
    match rustix::fs::statfs(path).map(|stat| stat.f_type) {
        Ok(0xEF53) => "extfs",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683E) => "btrfs",
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x794C_7630) => "overlayfs",
        Ok(0x2FC1_2FC1) => "zfs",
        Ok(0xF2F5_2010) => "f2fs",
        Ok(0x6969) => "nfs",
        _ => "<unknown>",
    }
}

/// The fields of os-release(5).
fn release() -> Vec<(String, String)> {
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_error| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter_map(field).collect()
}

/// Bytes of the machine's memory.
pub(crate) fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

fn security_options(engine: &Inner) -> Vec<String> {
    let mut options = Vec::new();
    if engine.apparmor.is_enabled() {
        options.push("name=apparmor".to_owned());
    }
    options.push("name=seccomp,profile=builtin".to_owned());
    if engine.selinux.is_enabled() {
        options.push("name=selinux".to_owned());
    }
    if engine.userns.is_some() {
        options.push("name=userns".to_owned());
    }
    if engine.config.rootless {
        options.push("name=rootless".to_owned());
    }
    if engine.host.cgroup_v2 {
        options.push("name=cgroupns".to_owned());
    }
    options
}
