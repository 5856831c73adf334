//! What an engine is opened with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ::network::HostPorts;

use crate::build::CachePolicy;
use crate::container::{LogConfig, Ulimit};
use crate::registry::RegistryConfig;

/// Settings of one engine; the rim reads them from flags and `daemon.json`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Images, containers, volumes (`/var/lib/berth`).
    pub data_root: PathBuf,
    /// State that ends with the machine (`/run/berth`).
    pub exec_root: PathBuf,
    /// Tag that keeps this instance's bridge, rules and cgroups apart; empty for the default data root. See [`Config::tag_of`].
    pub tag: String,
    /// The `berth-shim` program.
    pub shim: PathBuf,
    /// The program that forwards output to log servers: `berthd` itself, by another name.
    pub log_forwarder: PathBuf,
    /// Socket of journald's native protocol.
    pub journal_socket: PathBuf,
    /// The `docker-init`-like program, if there is one beside the shim's own.
    pub init_path: Option<PathBuf>,
    /// Runtime used when a container names none.
    pub default_runtime: String,
    /// Runtimes by name. The built-in one is `berth`, and answers to `runc` too.
    pub runtimes: BTreeMap<String, Runtime>,
    /// Log driver and options of containers that name none.
    pub log: LogConfig,
    /// Limits of containers that set none of this name.
    pub default_ulimits: Vec<Ulimit>,
    /// Cgroup above all containers; empty = `/berth` or `/berth-<tag>`.
    pub cgroup_parent: String,
    /// Cgroup beneath which all of this instance's are, where a user has a part of the hierarchy; empty = the root.
    pub cgroup_base: String,
    /// Who makes cgroups.
    pub cgroup_driver: CgroupDriver,
    /// Why nobody does, with [`CgroupDriver::None`].
    pub no_cgroups: String,
    /// `private` or `host`; empty = private on v2, host on v1.
    pub default_cgroupns_mode: String,
    /// `private` or `shareable`; empty = private.
    pub default_ipc_mode: String,
    /// Bytes of `/dev/shm` by default; 0 = 64 MiB.
    pub default_shm_size: i64,
    /// `overlay2`, `vfs`; empty = the best that works.
    pub storage_driver: String,
    /// Layers that are pulled stay compressed, too, for a push that needs no compression and keeps their digests.
    pub keep_compressed_layers: bool,
    /// How large the build cache may grow.
    pub cache_policy: CachePolicy,
    /// Storage options, `name=value`.
    pub storage_opts: Vec<String>,
    /// Name servers, options and search domains of containers that name none.
    pub dns: DnsDefaults,
    /// Every container gets an init, unless it says otherwise.
    pub init: bool,
    /// The default bridge.
    pub bridge: BridgeConfig,
    /// Options of new networks that don't set them themselves, by driver.
    pub network_options: BTreeMap<String, BTreeMap<String, String>>,
    /// The store of networks that several hosts share.
    pub cluster: ClusterConfig,
    /// How registries are reached.
    pub registries: RegistryConfig,
    /// Whose subordinate ids containers have that say nothing of their own: `default`, `USER[:GROUP]`, their numbers;
    /// empty = they live in the host's user namespace.
    pub userns_remap: String,
    /// An ordinary user's daemon, as root of a user namespace.
    pub rootless: bool,
    /// Who opens published ports on the host, where the daemon lives in a network namespace of its own.
    pub host_ports: Option<Arc<HostPorts>>,
    /// Whose subordinate ids containers with `--userns=auto` get theirs from. It needs no account.
    pub userns_auto_user: String,
    /// Directory of `passwd`, `group`, `subuid` and `subgid`.
    pub id_files: PathBuf,
    /// `no-new-privileges` for every container.
    pub no_new_privileges: bool,
    /// Containers have SELinux's labels, where the host has SELinux.
    pub selinux_enabled: bool,
    /// A seccomp profile file, `unconfined`, or empty for the built-in one.
    pub seccomp_profile: String,
    /// The signature policy; `None` = `/etc/berth/policy.json`, if it is there.
    pub signature_policy: Option<PathBuf>,
    /// The engine's own labels (`info`).
    pub labels: Vec<String>,
    /// Seconds that shutdown waits for containers (only without live-restore; kept for `info`).
    pub shutdown_timeout: i64,
    /// Where specifications of devices are looked for (`cdi-spec-dirs`).
    pub cdi_directories: Vec<PathBuf>,
    /// Debug logging is on (`info`).
    pub debug: bool,
    /// Clients are told that they may offer what Docker calls experimental: checkpoints, `--squash`.
    pub experimental: bool,
}

/// Resolver defaults.
#[derive(Debug, Clone, Default)]
pub struct DnsDefaults {
    /// Name servers.
    pub servers: Vec<String>,
    /// Options.
    pub options: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// What `host-gateway` means in `--add-host`; empty = the bridge's gateway.
    pub host_gateway_ip: String,
}

/// A runtime that containers can name.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    /// Program; empty = built in.
    pub path: String,
    /// Arguments before the runtime's command.
    pub args: Vec<String>,
}

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// Directories of the cgroup file systems.
    #[default]
    Cgroupfs,
    /// Scopes of systemd.
    Systemd,
    /// Nobody: containers have none, and what only cgroups can do is not to be had.
    None,
}

impl CgroupDriver {
    /// Docker's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
            Self::None => "none",
        }
    }
}

/// The store of networks that several hosts share, as Docker had it before swarm. See [`ClusterConfig::check`].
#[derive(Debug, Clone, Default)]
pub struct ClusterConfig {
    /// `--cluster-store`: `etcd://HOST:PORT[,HOST:PORT][/PATH]`, or empty.
    pub store: String,
    /// `--cluster-advertise`: `IP:PORT` or `INTERFACE:PORT`.
    pub advertise: String,
    /// `--cluster-store-opt`.
    pub options: BTreeMap<String, String>,
}

/// The default bridge.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// `--bridge`: name of an existing bridge, `none`, or empty for our own.
    pub name: String,
    /// `--bip`: address and prefix of the bridge.
    pub bip: String,
    /// `--fixed-cidr`: addresses that are handed out.
    pub fixed_cidr: String,
    /// `--default-gateway`.
    pub default_gateway: String,
    /// `--bip6`: IPv6 address and prefix of the bridge.
    pub bip6: String,
    /// `--fixed-cidr-v6`: IPv6 addresses that are handed out.
    pub fixed_cidr6: String,
    /// `--default-gateway-v6`.
    pub default_gateway6: String,
    /// `--mtu`; 0 = of the default route, or 1500.
    pub mtu: u32,
    /// `--icc`: containers may talk to each other.
    pub icc: bool,
    /// `--ip`: host address of published ports.
    pub default_host_ip: String,
    /// `--iptables`: firewall rules are made.
    pub firewall: bool,
    /// `--ip6tables`: those for IPv6, too.
    pub firewall6: bool,
    /// `--userland-proxy`: published ports are served in user space where the kernel can't.
    pub userland_proxy: bool,
    /// `--publish-mode`: `forward`, `input`, or empty for the former.
    pub publish_mode: String,
    /// `--ip-forward`.
    pub ip_forward: bool,
    /// `--ip-masq`.
    pub masquerade: bool,
    /// `--ipv6`.
    pub ipv6: bool,
    /// `--default-address-pool`: (base, size).
    pub address_pools: Vec<(String, u8)>,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            bip: String::new(),
            fixed_cidr: String::new(),
            default_gateway: String::new(),
            bip6: String::new(),
            fixed_cidr6: String::new(),
            default_gateway6: String::new(),
            mtu: 0,
            icc: true,
            default_host_ip: String::new(),
            firewall: true,
            firewall6: true,
            userland_proxy: true,
            publish_mode: String::new(),
            ip_forward: true,
            masquerade: true,
            ipv6: false,
            address_pools: Vec::new(),
        }
    }
}

/// Data root of the default instance.
pub const DEFAULT_DATA_ROOT: &str = "/var/lib/berth";
/// Exec root of the default instance.
pub const DEFAULT_EXEC_ROOT: &str = "/run/berth";
/// Name of the built-in runtime.
pub const BUILT_IN_RUNTIME: &str = "berth";

impl Config {
    /// Docker's defaults over these two roots; the shim is looked for beside the running program.
    #[must_use]
    pub fn new(data_root: PathBuf, exec_root: PathBuf) -> Self {
        let tag = Self::tag_of(&data_root);
        Self {
            data_root,
            exec_root,
            tag,
            shim: beside_program("berth-shim"),
            log_forwarder: beside_program("berthd"),
            journal_socket: PathBuf::from("/run/systemd/journal/socket"),
            init_path: None,
            default_runtime: BUILT_IN_RUNTIME.to_owned(),
            runtimes: BTreeMap::new(),
            log: LogConfig { driver: "json-file".to_owned(), options: BTreeMap::new() },
            default_ulimits: Vec::new(),
            cgroup_parent: String::new(),
            cgroup_base: String::new(),
            cgroup_driver: CgroupDriver::Cgroupfs,
            no_cgroups: String::new(),
            default_cgroupns_mode: String::new(),
            default_ipc_mode: String::new(),
            default_shm_size: 0,
            storage_driver: String::new(),
            keep_compressed_layers: false,
            cache_policy: CachePolicy::default(),
            storage_opts: Vec::new(),
            dns: DnsDefaults::default(),
            init: false,
            bridge: BridgeConfig::default(),
            network_options: BTreeMap::new(),
            cluster: ClusterConfig::default(),
            registries: RegistryConfig::default(),
            userns_remap: String::new(),
            rootless: false,
            host_ports: None,
            userns_auto_user: "containers".to_owned(),
            id_files: "/etc".into(),
            no_new_privileges: false,
            selinux_enabled: false,
            seccomp_profile: String::new(),
            signature_policy: None,
            labels: Vec::new(),
            shutdown_timeout: 15,
            cdi_directories: crate::container::cdi::DIRECTORIES.map(PathBuf::from).to_vec(),
            debug: false,
            experimental: false,
        }
    }

    /// The instance tag of a data root: empty for the default one, else the first 8 hex digits of its path's SHA-256.
    #[must_use]
    pub fn tag_of(data_root: &std::path::Path) -> String {
        use sha2::Digest as _;
        use std::os::unix::ffi::OsStrExt as _;
        if data_root == std::path::Path::new(DEFAULT_DATA_ROOT) {
            return String::new();
        }
        let digest = sha2::Sha256::digest(data_root.as_os_str().as_bytes());
        hex::encode(&digest[..4])
    }

    /// Cgroup above all containers of this instance.
    #[must_use]
    pub fn cgroup_parent(&self) -> String {
        match (self.cgroup_parent.is_empty(), self.tag.is_empty()) {
            (false, _) => self.in_cgroup_base(&self.cgroup_parent),
            (true, true) => self.in_cgroup_base("/berth"),
            (true, false) => self.in_cgroup_base(&format!("/berth-{}", self.tag)),
        }
    }

    /// Where a cgroup is that somebody names.
    #[must_use]
    pub fn in_cgroup_base(&self, path: &str) -> String {
        match self.cgroup_base.as_str() {
            "" => path.to_owned(),
            base => format!("{base}/{}", path.trim_matches('/')),
        }
    }
}

/// A program in the directory of the running one.
fn beside_program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.parent().map_or_else(|| PathBuf::from(name), |dir| dir.join(name))
}
