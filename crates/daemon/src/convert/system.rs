//! Version and info.

use std::collections::BTreeMap;

use api::system as wire;
use api::{Version, version as versions};
use engine::registry::RegistryConfig;
use engine::system::Info;
use jiff::Timestamp;

use super::{count, legacy, registry, size};

/// Answer of `GET /version`.
pub(crate) fn version(version: engine::system::Version, experimental: bool) -> wire::VersionResponse {
    let details = BTreeMap::from([
        ("ApiVersion".to_owned(), versions::MAX.to_string()),
        ("Arch".to_owned(), version.arch.clone()),
        ("BuildTime".to_owned(), version.build_time.clone()),
        ("Experimental".to_owned(), experimental.to_string()),
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
        experimental,
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
        n_cpu: count(info.cpus),
        mem_total: size(info.memory),
        docker_root_dir: info.data_root,
        name: info.name,
        cdi_spec_dirs: info.cdi_directories.iter().map(|path| path.display().to_string()).collect(),
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
        bridge_nf_iptables: Some(info.bridge_firewall.0),
        bridge_nf_ip6tables: Some(info.bridge_firewall.1),
        firewall_backend: info
            .firewall
            .then(|| wire::FirewallInfo { driver: "nftables".to_owned(), ..wire::FirewallInfo::default() }),
        warnings: info.warnings,
        ..outside(info.cluster, info.registries)
    };
    legacy::info(&mut answer, version);
    answer
}

/// What is told of the store that networks are shared in, and of registries.
fn outside(cluster: Option<(String, String)>, registries: RegistryConfig) -> wire::Info {
    let (cluster_store, cluster_advertise) = cluster.unwrap_or_default();
    wire::Info {
        cluster_store,
        cluster_advertise,
        registry_config: registry::registries(&registries),
        http_proxy: registries.http_proxy,
        https_proxy: registries.https_proxy,
        no_proxy: registries.no_proxy,
        ..wire::Info::default()
    }
}
