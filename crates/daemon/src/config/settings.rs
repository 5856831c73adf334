//! Settings: values that mean something.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use engine::config::{CgroupDriver, DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT};
use tracing_subscriber::filter::LevelFilter;

use super::given::Given;
use super::parse;
use crate::listen::Address;
use crate::rootless::{self, Groups};

/// Everything that the daemon is told.
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) hosts: Vec<Address>,
    /// How TCP is served.
    pub(crate) tcp: TcpSecurity,
    /// Group of unix sockets; `None` is `docker` where there is one.
    pub(crate) group: Option<String>,
    /// File with the daemon's process id.
    pub(crate) pidfile: PathBuf,
    /// Plugins that say which requests are answered.
    pub(crate) authorization: Vec<String>,
    /// What is logged.
    pub(crate) level: LevelFilter,
    /// Clients are told to build by BuildKit's protocol.
    pub(crate) buildkit: bool,
    /// Where metrics are served beside the API's sockets.
    pub(crate) metrics: Option<String>,
    /// How the log is written.
    pub(crate) log: LogForm,
    /// The daemon's own `oom_score_adj`, if it is to change.
    pub(crate) oom_score: Option<i64>,
    /// What the engine is opened with.
    pub(crate) engine: engine::Config,
    given: Given,
}

/// What a reload changes; everything else needs a restart.
const RELOADABLE: [&str; 10] = [
    "allow-nondistributable-artifacts",
    "authorization-plugins",
    "debug",
    "insecure-registries",
    "labels",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
];

impl Settings {
    /// The values as they were given; see [`Settings::fixed`].
    pub(crate) fn given(&self) -> Given {
        self.given.clone()
    }

    /// Keys that differ from those the daemon was started with, and that a reload does not change.
    pub(crate) fn fixed(&self, started_with: &Given) -> Vec<&'static str> {
        self.given.differing(started_with, &RELOADABLE)
    }
}

/// Gives values their meaning.
pub(super) fn build(given: &Given) -> Result<Settings> {
    let engine = engine(given)?;
    let socket = engine.exec_root.join(api::place::SOCKET);
    let mut hosts =
        given.list("hosts").iter().map(|host| Address::parse(host)).collect::<Result<Vec<_>>>()?;
    if hosts.is_empty() {
        hosts.push(Address::Unix(socket));
    }
    if given.flag("live-restore") == Some(false) {
        bail!(
            "live-restore=false is not supported by this version of Berth: containers always outlive the daemon"
        );
    }
    Ok(Settings {
        hosts,
        tcp: tcp(given),
        group: given.text("group").map(str::to_owned),
        pidfile: given.text("pidfile").map_or_else(|| engine.exec_root.join("berthd.pid"), PathBuf::from),
        authorization: given.list("authorization-plugins"),
        level: level(given)?,
        buildkit: buildkit(given)?,
        metrics: given.text("metrics-addr").filter(|address| !address.is_empty()).map(str::to_owned),
        log: log_form(given)?,
        oom_score: oom_score(given)?,
        engine,
        given: given.clone(),
    })
}

/// Files of keys and certificates (PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The daemon's certificate, and those between it and a root.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Certificates that those of clients must be signed by; `None` lets every client in.
    pub(crate) client_ca: Option<PathBuf>,
}

/// How TCP is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpSecurity {
    /// Over TLS.
    Tls(Tls),
    /// In the clear, to everyone who reaches it: `tls=false` was said.
    Clear,
    /// Not at all: nothing was said.
    Unsaid,
}

/// TLS is on with `tlsverify`, or with `tls`; `tls=false` turns it off whatever else is said.
fn tcp(given: &Given) -> TcpSecurity {
    let verify = given.flag("tlsverify").unwrap_or(false);
    match given.flag("tls") {
        Some(false) => return TcpSecurity::Clear,
        None if !verify => return TcpSecurity::Unsaid,
        _ => {}
    }
    let file = |key: &str, name: &str| match given.text(key).filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => default_certificates().join(name),
    };
    TcpSecurity::Tls(Tls {
        cert: file("tlscert", "cert.pem"),
        key: file("tlskey", "key.pem"),
        client_ca: verify.then(|| file("tlscacert", "ca.pem")),
    })
}

/// Where certificates are when nobody says.
fn default_certificates() -> PathBuf {
    match (std::env::var_os("DOCKER_CERT_PATH"), std::env::var_os("HOME")) {
        (Some(dir), _) if !dir.is_empty() => dir.into(),
        (_, Some(home)) => PathBuf::from(home).join(".docker"),
        _ => PathBuf::from("/root/.docker"),
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// Text; with colours only on a terminal.
    Text {
        /// Without colours there, too.
        raw: bool,
    },
    /// An object of JSON a line.
    Json,
}

fn log_form(given: &Given) -> Result<LogForm> {
    match given.text("log-format").unwrap_or_default() {
        "" | "text" => Ok(LogForm::Text { raw: given.flag("raw-logs").unwrap_or(false) }),
        "json" => Ok(LogForm::Json),
        other => bail!("invalid log format: {other}: must be text or json"),
    }
}

/// `features`: whether `buildkit` is on. Of the others, only what is so anyway can be asked for.
fn buildkit(given: &Given) -> Result<bool> {
    let Some(super::given::Value::Structure(features)) = given.get("features") else { return Ok(false) };
    let Some(features) = features.as_object() else {
        bail!("invalid features: must be an object of true and false")
    };
    let mut buildkit = false;
    for (name, on) in features {
        let Some(on) = on.as_bool() else { bail!("invalid feature {name:?}: must be true or false") };
        match (name.as_str(), on) {
            ("buildkit", on) => buildkit = on,
            ("cdi", true) | ("containerd-snapshotter", false) => {}
            ("cdi", false) => {
                bail!("feature \"cdi\" can't be turned off: leave cdi-spec-dirs without specifications")
            }
            ("containerd-snapshotter", true) => {
                bail!(
                    "feature \"containerd-snapshotter\" is refused: Berth has a store of its own and no containerd"
                )
            }
            _ => bail!("unknown feature {name:?}: buildkit, cdi and containerd-snapshotter are known"),
        }
    }
    Ok(buildkit)
}

fn oom_score(given: &Given) -> Result<Option<i64>> {
    match given.int("oom-score-adjust") {
        Some(score) if !(-1000..=1000).contains(&score) => {
            bail!("invalid oom-score-adjust {score}: must be from -1000 to 1000")
        }
        score => Ok(score),
    }
}

fn level(given: &Given) -> Result<LevelFilter> {
    let level = match given.text("log-level").unwrap_or("info") {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "" | "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" | "panic" => LevelFilter::ERROR,
        other => bail!("invalid logging level: {other}"),
    };
    Ok(if given.flag("debug") == Some(true) { level.max(LevelFilter::DEBUG) } else { level })
}

fn engine(given: &Given) -> Result<engine::Config> {
    let roots = Roots::of(given)?;
    let data_root = absolute(given, "data-root", &roots.data)?;
    let exec_root = absolute(given, "exec-root", &roots.exec)?;
    let mut config = engine::Config::new(data_root, exec_root);
    let text = |key: &str| given.text(key).unwrap_or_default().to_owned();
    config.init_path = given.text("init-path").filter(|path| !path.is_empty()).map(PathBuf::from);
    config.runtimes = parse::runtimes(given)?;
    if let Some(runtime) = given.text("default-runtime").filter(|name| !name.is_empty()) {
        runtime.clone_into(&mut config.default_runtime);
    }
    if let Some(driver) = given.text("log-driver").filter(|driver| !driver.is_empty()) {
        driver.clone_into(&mut config.log.driver);
    }
    config.log.options = given.map("log-opts");
    // where a journal that is not this machine's listens
    if let Some(socket) = std::env::var_os("BERTH_JOURNAL_SOCKET") {
        config.journal_socket = PathBuf::from(socket);
    }
    config.default_ulimits = parse::ulimits(given)?;
    config.cgroup_parent = text("cgroup-parent");
    cgroups(given, &mut config)?;
    config.default_cgroupns_mode = one_of(given, "default-cgroupns-mode", &["", "private", "host"])?;
    config.default_ipc_mode = one_of(given, "default-ipc-mode", &["", "private", "shareable"])?;
    config.default_shm_size = match given.text("default-shm-size").unwrap_or_default() {
        "" => 0,
        text => parse::bytes(text).with_context(|| format!("invalid default-shm-size {text:?}"))?,
    };
    config.storage_driver = text("storage-driver");
    config.keep_compressed_layers = given.flag("keep-compressed-layers").unwrap_or(false);
    config.cache_policy = super::builder::cache_policy(given)?;
    config.dns.servers = given.list("dns");
    config.dns.options = given.list("dns-opts");
    config.dns.search = given.list("dns-search");
    config.dns.host_gateway_ip = text("host-gateway-ip");
    config.init = given.flag("init").unwrap_or(false);
    config.bridge = bridge(given)?;
    config.network_options = parse::default_network_options(given)?;
    config.cluster.store = text("cluster-store");
    config.cluster.advertise = text("cluster-advertise");
    config.cluster.options = given.map("cluster-store-opts");
    if rootless::is_on() && !config.cluster.store.is_empty() {
        bail!("cluster-store: an ordinary user's daemon shares no networks with other hosts");
    }
    config.cluster.check()?;
    config.userns_remap = text("userns-remap");
    config.rootless = rootless::is_on();
    if let Some(user) = given.text("userns-auto-user").filter(|user| !user.is_empty()) {
        user.clone_into(&mut config.userns_auto_user);
    }
    // where users and their ids are written down that are not this machine's
    if let Some(directory) = std::env::var_os("BERTH_ID_FILES") {
        config.id_files = directory.into();
    }
    config.no_new_privileges = given.flag("no-new-privileges").unwrap_or(false);
    config.selinux_enabled = given.flag("selinux-enabled").unwrap_or(false);
    config.seccomp_profile = text("seccomp-profile");
    if given.text("signature-policy").is_some_and(|path| !path.is_empty()) {
        config.signature_policy = Some(absolute(given, "signature-policy", Path::new(""))?);
    }
    let cdi = given.list("cdi-spec-dirs");
    if !cdi.is_empty() {
        config.cdi_directories = cdi.into_iter().map(PathBuf::from).collect();
    }
    config.labels = labels(given)?;
    config.registries = super::registries::parse(given)?;
    config.shutdown_timeout = given.int("shutdown-timeout").unwrap_or(config.shutdown_timeout);
    config.experimental = given.flag("experimental").unwrap_or(false);
    config.debug = level(given)? >= LevelFilter::DEBUG;
    Ok(config)
}

/// Where a daemon keeps its things that is not told.
struct Roots {
    data: PathBuf,
    exec: PathBuf,
}

impl Roots {
    fn of(given: &Given) -> Result<Self> {
        let said = |key: &str| given.text(key).is_some_and(|path| !path.is_empty());
        let host = || Self { data: DEFAULT_DATA_ROOT.into(), exec: DEFAULT_EXEC_ROOT.into() };
        match rootless::roots() {
            Ok(Some(roots)) => Ok(Self { data: roots.data, exec: roots.exec }),
            Ok(None) => Ok(host()),
            // not needed
            Err(_) if said("data-root") && said("exec-root") => Ok(host()),
            Err(error) => Err(error),
        }
    }
}

fn absolute(given: &Given, key: &str, default: &Path) -> Result<PathBuf> {
    let path = given.text(key).filter(|path| !path.is_empty()).map_or(default, Path::new);
    std::path::absolute(path).with_context(|| format!("invalid {key} {}", path.display()))
}

fn one_of(given: &Given, key: &str, words: &[&str]) -> Result<String> {
    let word = given.text(key).unwrap_or_default();
    if !words.contains(&word) {
        bail!("invalid {key} {word:?}: must be one of {}", words[1..].join(", "));
    }
    Ok(word.to_owned())
}

/// Who makes control groups, and where.
fn cgroups(given: &Given, config: &mut engine::Config) -> Result<()> {
    let options = given.list("exec-opts");
    let driver = cgroup_driver(&options)?;
    config.cgroup_driver = driver;
    if !rootless::is_on() {
        return Ok(());
    }
    if driver == CgroupDriver::Systemd {
        bail!(
            "native.cgroupdriver=systemd: an ordinary user's daemon makes its containers' control groups itself"
        );
    }
    match rootless::groups() {
        Groups::Unknown => {}
        Groups::Beneath(path) => config.cgroup_base = path,
        Groups::None(reason) if options.is_empty() => {
            (config.cgroup_driver, config.no_cgroups) = (CgroupDriver::None, reason);
        }
        Groups::None(reason) => bail!("native.cgroupdriver=cgroupfs: {reason}"),
    }
    Ok(())
}

fn cgroup_driver(options: &[String]) -> Result<CgroupDriver> {
    let mut driver = CgroupDriver::default();
    for option in options {
        driver = match option.split_once('=') {
            Some(("native.cgroupdriver", "cgroupfs")) => CgroupDriver::Cgroupfs,
            Some(("native.cgroupdriver", "systemd")) => CgroupDriver::Systemd,
            Some(("native.cgroupdriver", other)) => {
                bail!("invalid native.cgroupdriver {other:?}: must be cgroupfs or systemd")
            }
            _ => bail!("unknown exec-opt {option:?}"),
        };
    }
    Ok(driver)
}

fn labels(given: &Given) -> Result<Vec<String>> {
    let labels = given.list("labels");
    match labels.iter().find(|label| !label.contains('=')) {
        Some(label) => bail!("invalid label {label:?}: must be NAME=VALUE"),
        None => Ok(labels),
    }
}

fn bridge(given: &Given) -> Result<engine::config::BridgeConfig> {
    let mut bridge = engine::config::BridgeConfig::default();
    let text = |key: &str| given.text(key).unwrap_or_default().to_owned();
    bridge.name = text("bridge");
    bridge.bip = text("bip");
    let addressed = !bridge.bip.is_empty() || !text("bip6").is_empty();
    if !bridge.name.is_empty() && addressed {
        bail!("conflicting options: --bridge and --bip are mutually exclusive");
    }
    bridge.fixed_cidr = text("fixed-cidr");
    bridge.default_gateway = text("default-gateway");
    bridge.ipv6 = given.flag("ipv6").unwrap_or(bridge.ipv6);
    bridge.bip6 = text("bip6");
    bridge.fixed_cidr6 = text("fixed-cidr-v6");
    bridge.default_gateway6 = text("default-gateway-v6");
    let mtu = given.int("mtu").unwrap_or(0);
    bridge.mtu = u32::try_from(mtu).with_context(|| format!("invalid mtu {mtu}"))?;
    bridge.icc = given.flag("icc").unwrap_or(bridge.icc);
    bridge.default_host_ip = text("ip");
    bridge.firewall = given.flag("iptables").unwrap_or(bridge.firewall);
    if !bridge.icc && !bridge.firewall {
        bail!(
            "conflicting options: You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true"
        );
    }
    bridge.firewall6 = given.flag("ip6tables").unwrap_or(bridge.firewall6);
    bridge.userland_proxy = given.flag("userland-proxy").unwrap_or(bridge.userland_proxy);
    if given.text("userland-proxy-path").is_some_and(|path| !path.is_empty()) {
        bail!(
            "userland-proxy-path can't be given: published ports are served in user space by the containers' own shims, not by a program apart (userland-proxy=false turns that off)"
        );
    }
    bridge.publish_mode = text("publish-mode");
    bridge.ip_forward = given.flag("ip-forward").unwrap_or(bridge.ip_forward);
    bridge.masquerade = given.flag("ip-masq").unwrap_or(bridge.masquerade);
    bridge.address_pools = parse::address_pools(given)?;
    Ok(bridge)
}
