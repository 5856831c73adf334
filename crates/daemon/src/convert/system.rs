//! Version, info and disk usage.

use std::collections::BTreeMap;

use api::system as wire;
use api::{Query, Version, version as versions};
use engine::system::{DiskUsage, Info};
use jiff::Timestamp;

use super::{count, image, legacy, size, summary, total, volume};
use crate::error::{ApiError, Result};

/// Answer of `GET /version`.
pub(crate) fn version(version: engine::system::Version) -> wire::VersionResponse {
    let details = BTreeMap::from([
        ("ApiVersion".to_owned(), versions::MAX.to_string()),
        ("Arch".to_owned(), version.arch.clone()),
        ("BuildTime".to_owned(), version.build_time.clone()),
        ("Experimental".to_owned(), "false".to_owned()),
        ("GitCommit".to_owned(), version.git_commit.clone()),
        ("GoVersion".to_owned(), String::new()),
        ("KernelVersion".to_owned(), version.kernel.clone()),
        ("MinAPIVersion".to_owned(), versions::MIN.to_string()),
        ("Os".to_owned(), version.os.clone()),
    ]);
    wire::VersionResponse {
        platform: wire::Platform { name: "Berth".to_owned() },
        components: vec![wire::Component {
            name: "Engine".to_owned(),
            version: version.version.clone(),
            details,
        }],
        version: version.version,
        api_version: versions::MAX.to_string(),
        min_api_version: versions::MIN.to_string(),
        git_commit: version.git_commit,
        go_version: String::new(),
        os: version.os,
        arch: version.arch,
        kernel_version: version.kernel,
        experimental: false,
        build_time: version.build_time,
    }
}

/// Answer of `GET /info`.
pub(crate) fn info(info: Info, version: Version) -> wire::Info {
    let commit = |id: &str| wire::Commit { id: id.to_owned(), expected: None };
    let own = concat!("berth-", env!("CARGO_PKG_VERSION"));
    let runtimes = info.runtimes.into_iter().map(|(name, runtime)| {
        (name, wire::Runtime { path: runtime.path, runtime_args: runtime.args, ..wire::Runtime::default() })
    });
    let mut answer = wire::Info {
        id: info.id,
        containers: count(info.running + info.paused + info.stopped),
        containers_running: count(info.running),
        containers_paused: count(info.paused),
        containers_stopped: count(info.stopped),
        images: count(info.images),
        driver: info.storage_driver,
        driver_status: info.driver_status.into_iter().map(|(name, value)| vec![name, value]).collect(),
        plugins: wire::PluginsInfo {
            volume: info.volume_drivers,
            network: info.network_drivers,
            authorization: None,
            log: info.log_drivers,
        },
        memory_limit: info.memory_limit,
        swap_limit: info.swap_limit,
        cpu_cfs_period: info.cpu_cfs,
        cpu_cfs_quota: info.cpu_cfs,
        cpu_shares: info.cpu_shares,
        cpu_set: info.cpu_set,
        pids_limit: info.pids_limit,
        ipv4_forwarding: info.ipv4_forwarding,
        debug: info.debug,
        n_fd: count(info.fds),
        oom_kill_disable: info.oom_kill_disable,
        n_goroutines: count(info.tasks),
        system_time: Timestamp::now().to_string(),
        logging_driver: info.default_log_driver,
        cgroup_driver: info.cgroup_driver.name().to_owned(),
        cgroup_version: info.cgroup_version.to_string(),
        n_events_listener: count(info.events_listeners),
        kernel_version: info.kernel,
        operating_system: info.operating_system,
        os_version: info.os_version,
        os_type: "linux".to_owned(),
        architecture: info.machine,
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: registries(),
        n_cpu: count(info.cpus),
        mem_total: size(info.memory),
        docker_root_dir: info.data_root,
        name: info.name,
        labels: info.labels,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        runtimes: runtimes.collect(),
        default_runtime: info.default_runtime,
        swarm: wire::SwarmInfo { local_node_state: "inactive".to_owned(), ..wire::SwarmInfo::default() },
        live_restore_enabled: true,
        init_binary: info.init_binary,
        containerd_commit: commit(""),
        runc_commit: commit(own),
        init_commit: commit(own),
        security_options: info.security_options,
        warnings: info.warnings,
        ..wire::Info::default()
    };
    legacy::info(&mut answer, version);
    answer
}

/// The one registry that every daemon knows; loopback ones may be spoken to in the clear.
fn registries() -> wire::RegistryConfig {
    let hub =
        wire::IndexInfo { name: "docker.io".to_owned(), mirrors: Vec::new(), secure: true, official: true };
    wire::RegistryConfig {
        insecure_registry_cidrs: vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()],
        index_configs: BTreeMap::from([("docker.io".to_owned(), hub)]),
        mirrors: Vec::new(),
    }
}

/// Which kinds of things `GET /system/df` is to count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DfWanted {
    containers: bool,
    images: bool,
    volumes: bool,
    build_cache: bool,
    items: bool,
}

impl DfWanted {
    /// Reads `type` (repeatable, since 1.42) and `verbose` (since 1.52).
    pub(crate) fn parse(query: &Query, version: Version) -> Result<Self> {
        let items = query.flag("verbose");
        let mut wanted = Self { containers: false, images: false, volumes: false, build_cache: false, items };
        let kinds: Vec<_> = query.all("type").filter(|_| version >= Version::minor(42)).collect();
        if kinds.is_empty() {
            return Ok(Self { containers: true, images: true, volumes: true, build_cache: true, items });
        }
        for kind in kinds {
            match kind {
                "container" => wanted.containers = true,
                "image" => wanted.images = true,
                "volume" => wanted.volumes = true,
                "build-cache" => wanted.build_cache = true,
                other => return Err(ApiError::bad_request(format!("unknown object type: {other}"))),
            }
        }
        Ok(wanted)
    }
}

/// Answer of `GET /system/df`, in the form (or both) that the client's version has.
pub(crate) fn disk_usage(usage: DiskUsage, wanted: DfWanted, version: Version) -> wire::DiskUsage {
    let (flat, grouped) = legacy::disk_usage(version);
    let images = wanted.images.then(|| images(&usage, version));
    let containers = wanted.containers.then(|| containers(&usage, version));
    let volumes = wanted.volumes.then(|| volumes(&usage));
    let build_cache = wanted.build_cache.then(wire::Usage::<wire::BuildCache>::default);
    let mut answer = wire::DiskUsage::default();
    if flat {
        answer.layers_size = Some(size(usage.layers_size));
        answer.images = images.as_ref().map(|usage| usage.items.clone());
        answer.containers = containers.as_ref().map(|usage| usage.items.clone());
        answer.volumes = volumes.as_ref().map(|usage| usage.items.clone());
        answer.build_cache = build_cache.as_ref().map(|usage| usage.items.clone());
        answer.builder_size = (version < Version::minor(42)).then_some(0);
    }
    if grouped {
        answer.image_usage = images.map(|usage| trimmed(usage, wanted.items));
        answer.container_usage = containers.map(|usage| trimmed(usage, wanted.items));
        answer.volume_usage = volumes.map(|usage| trimmed(usage, wanted.items));
        answer.build_cache_usage = build_cache.map(|usage| trimmed(usage, wanted.items));
    }
    answer
}

fn trimmed<T>(mut usage: wire::Usage<T>, items: bool) -> wire::Usage<T> {
    if !items {
        usage.items = Vec::new();
    }
    usage
}

fn images(usage: &DiskUsage, version: Version) -> wire::Usage<api::image::Summary> {
    let idle = usage.images.iter().filter(|(image, _)| image.containers == 0);
    let items = usage.images.iter().map(|(one, shared)| api::image::Summary {
        shared_size: size(*shared),
        ..image::image_summary(one, version)
    });
    wire::Usage {
        active_count: count(usage.images.iter().filter(|(image, _)| image.containers > 0).count()),
        total_count: count(usage.images.len()),
        reclaimable: total(idle.map(|(image, shared)| image.size.saturating_sub(*shared))),
        total_size: size(usage.layers_size),
        items: items.collect(),
    }
}

fn containers(usage: &DiskUsage, version: Version) -> wire::Usage<api::container::Summary> {
    let now = Timestamp::now();
    let items = usage.containers.iter().map(|(container, measured)| {
        let image = container.config.image.clone();
        let listed = engine::container::Listed { container: container.clone(), size: Some(*measured), image };
        summary(&listed, now, version)
    });
    let running = |container: &engine::container::Container| container.state.is_running();
    let stopped = usage.containers.iter().filter(|(container, _)| !running(container));
    wire::Usage {
        active_count: count(usage.containers.iter().filter(|(container, _)| running(container)).count()),
        total_count: count(usage.containers.len()),
        reclaimable: total(stopped.map(|(_, size)| size.rw)),
        total_size: total(usage.containers.iter().map(|(_, size)| size.rw)),
        items: items.collect(),
    }
}

fn volumes(usage: &DiskUsage) -> wire::Usage<api::volume::Volume> {
    let items = usage.volumes.iter().map(|(one, bytes, users)| api::volume::Volume {
        usage_data: Some(api::volume::UsageData { ref_count: count(*users), size: size(*bytes) }),
        ..volume(one.clone())
    });
    wire::Usage {
        active_count: count(usage.volumes.iter().filter(|(_, _, users)| *users > 0).count()),
        total_count: count(usage.volumes.len()),
        reclaimable: total(
            usage.volumes.iter().filter(|(_, _, users)| *users == 0).map(|(_, bytes, _)| *bytes),
        ),
        total_size: total(usage.volumes.iter().map(|(_, bytes, _)| *bytes)),
        items: items.collect(),
    }
}
