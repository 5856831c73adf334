//! The engine itself: one cheap handle for all verbs.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use store::{DriverChoice, ImageSummary};
use tokio::sync::watch;

use crate::config::{BUILT_IN_RUNTIME, CgroupDriver, Config, Runtime};
use crate::container::book::Book;
use crate::container::registry::Registry;
use crate::container::security::{AppArmor, Compiled, Options, Seccomp, Selinux};
use crate::container::stats::Machine;
use crate::container::task::blocking;
use crate::container::{Container, Execs, Host, HostConfig, Resources};
use crate::error::{Error, Result};
use crate::events::Bus;
use crate::layout::Layout;
use crate::network::resolver::Resolvers;
use crate::system::{Counters, Pruning};
use crate::userns::{IdFiles, IdMap};

/// A handle to the engine; clones share it.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

/// What all verbs share.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) id: String,
    pub(crate) host: Host,
    /// The ids of containers that say nothing of their own; `None` = the host's.
    pub(crate) userns: Option<IdMap>,
    /// Ids of single containers that stand in no record.
    pub(crate) ids: Arc<Book<IdMap>>,
    pub(crate) store: store::Store,
    pub(crate) network: ::network::Network,
    /// `None` where networks are this machine's own.
    pub(crate) cluster: Option<crate::network::cluster::Part>,
    /// How registries are asked.
    pub(crate) registries: crate::registry::Registries,
    pub(crate) resolvers: Resolvers,
    pub(crate) events: Bus,
    pub(crate) containers: Registry,
    pub(crate) execs: Execs,
    pub(crate) machine: Machine,
    pub(crate) pruning: Pruning,
    pub(crate) counters: Arc<Counters>,
    pub(crate) volumes: crate::volume::Volumes,
    pub(crate) builder: crate::build::Builder,
    seccomp: Seccomp,
    pub(crate) apparmor: AppArmor,
    pub(crate) selinux: Selinux,
    pub(crate) filters: Compiled,
    pub(crate) closing: watch::Sender<bool>,
    /// No run that ends now is followed by another one before the next boot.
    pub(crate) machine_ends: AtomicBool,
    swept: watch::Sender<bool>,
}

impl Engine {
    /// Opens the roots, finds every container again, sweeps what nobody owns.
    ///
    /// # Errors
    /// The roots can't be used, or another engine uses them.
    pub async fn open(config: Config) -> Result<Self> {
        let inner = Arc::new(blocking(move || Inner::open(config)).await?);
        crate::recovery::recover(&inner).await?;
        crate::build::collect_garbage(&inner);
        Ok(Self(inner))
    }

    /// Lets go of everything; containers run on in their shims.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        self.0.containers.clear();
        self.0.resolvers.clear();
        let engine = Arc::clone(&self.0);
        // without threads to block the process is ending anyway, and the next daemon uses the cgroup again
        let _ = blocking(move || {
            crate::recovery::remove_empty_parent(&engine.config);
            Ok(())
        })
        .await;
    }

    /// Where the rim keeps what it knows of builds that were.
    #[must_use]
    pub fn build_history(&self) -> PathBuf {
        self.0.layout.build_history()
    }

    /// Whether no container runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.containers.all().iter().all(|entry| entry.snapshot().state.pid() == 0)
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}

impl Inner {
    fn open(config: Config) -> Result<Self> {
        let layout = Layout::new(&config.data_root, &config.exec_root);
        for path in layout.roots() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|error| Error::because(format!("create directory {}", path.display()), error))?;
        }
        let driver = match config.storage_driver.as_str() {
            "" => DriverChoice::Auto,
            "overlay" | "overlay2" | "overlayfs" => DriverChoice::Overlay,
            "vfs" => DriverChoice::Vfs,
            other => {
                return Err(Error::bad_parameter(format!("driver not supported: {other}")));
            }
        };
        let userns = match config.userns_remap.as_str() {
            "" => None,
            _ if config.rootless => {
                return Err(Error::bad_parameter(
                    "userns-remap: containers of an ordinary user's daemon live in the user's own namespace",
                ));
            }
            text => Some(crate::userns::remap(text, &IdFiles::of(&config.id_files))?),
        };
        let seccomp = seccomp(&config)?;
        let selinux = Selinux::open(config.selinux_enabled, config.rootless)?;
        check_defaults(&config, &seccomp)?;
        let cache = crate::build::Builder::open(&layout)?;
        let store = store::Store::open_keeping(&layout.store(), driver, &cache.kept)
            .map_err(|error| Error::because("open the image store", error))?;
        selinux.label_store(&store)?;
        let builder = crate::build::Builder::start(cache, &store, &layout)?;
        store.keep_compressed(config.keep_compressed_layers);
        let network = ::network::Network::open(crate::network::open_config(&config, layout.network())?)
            .map_err(|error| Error::because("open the network", error))?;
        let id = engine_id(&layout)?;
        let cluster = crate::network::cluster::open(&config.cluster, &id, &network, &layout)?;
        let host = crate::container::facts(&config);
        Ok(Self {
            id,
            machine: Machine::new(crate::system::memory(), host.cgroup_v2),
            host,
            userns,
            ids: Arc::default(),
            seccomp,
            // only root loads profiles
            apparmor: if config.rootless { AppArmor::ABSENT } else { AppArmor::open() },
            selinux,
            filters: Compiled::default(),
            store,
            network,
            cluster,
            registries: crate::registry::Registries::open(config.registries.clone())?,
            resolvers: Resolvers::default(),
            events: Bus::default(),
            containers: Registry::default(),
            execs: Execs::default(),
            pruning: Pruning::default(),
            counters: Arc::default(),
            volumes: crate::volume::Volumes::default(),
            builder,
            closing: watch::Sender::new(false),
            machine_ends: AtomicBool::new(false),
            swept: watch::Sender::new(false),
            layout,
            config,
        })
    }

    /// Waits until what former daemons have left is swept: nothing new may be made before, it would be swept as well.
    pub(crate) async fn swept(&self) {
        // the sender lives in self
        let _ = self.swept.subscribe().wait_for(|swept| *swept).await;
    }

    /// The sweep is over.
    pub(crate) fn set_swept(&self) {
        self.swept.send_replace(true);
    }

    /// Path of a container's cgroup beneath the hierarchies' mounts; `slice:prefix:name` for systemd.
    pub(crate) fn cgroup_path(&self, container: &Container) -> String {
        let asked = &container.host.resources.cgroup_parent;
        let parent =
            if asked.is_empty() { self.config.cgroup_parent() } else { self.config.in_cgroup_base(asked) };
        match self.config.cgroup_driver {
            CgroupDriver::Cgroupfs | CgroupDriver::None => {
                format!("/{}/{}", parent.trim_matches('/'), container.id)
            }
            CgroupDriver::Systemd => {
                let slice = if parent.ends_with(".slice") {
                    parent.trim_matches('/').to_owned()
                } else {
                    "system.slice".to_owned()
                };
                let prefix = if self.config.tag.is_empty() {
                    "berth".to_owned()
                } else {
                    format!("berth-{}", self.config.tag)
                };
                format!("{slice}:{prefix}:{}", container.id)
            }
        }
    }

    /// A container's security options.
    ///
    /// # Errors
    /// One of them is wrong.
    pub(crate) fn security(&self, host: &HostConfig) -> Result<Options> {
        Options::parse(host, self.config.no_new_privileges, &self.seccomp, self.apparmor)
    }

    /// A runtime by name; empty = the default.
    ///
    /// # Errors
    /// No such runtime.
    pub(crate) fn runtime(&self, name: &str) -> Result<Runtime> {
        runtime(&self.config, name)
    }

    /// The init that `--init` puts inside: the shim's own, unless another is configured.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn init_program(&self) -> Result<PathBuf> {
        let path = self.config.init_path.as_ref().unwrap_or(&self.config.shim);
        if path.is_file() {
            return Ok(path.clone());
        }
        Err(Error::bad_parameter(format!("--init needs an init program: {} is not there", path.display())))
    }

    /// An image by what a person calls it.
    ///
    /// # Errors
    /// Docker's `No such image: name:tag`.
    pub(crate) fn find_image(&self, name: &str) -> Result<ImageSummary> {
        if name.is_empty() {
            return Err(Error::bad_parameter("config cannot be empty in order to create a container"));
        }
        let id = self.store.resolve(name).map_err(|error| crate::image::named(name, error))?;
        Ok(self.store.image(&id)?)
    }

    /// Limits for a running container.
    ///
    /// # Errors
    /// A device is missing.
    pub(crate) fn limits(&self, resources: &Resources) -> Result<oci_spec::runtime::LinuxResources> {
        let devices = crate::container::host::block_devices(resources)?;
        crate::container::limits(resources, &devices)
    }
}

/// The stable id of this data root, made at the first opening.
fn engine_id(layout: &Layout) -> Result<String> {
    const MOST: usize = 128;
    let path = layout.engine_id();
    if let Ok(bytes) = sys::file::read_bounded(&path, MOST)
        && let Ok(text) = String::from_utf8(bytes)
        && text.trim().len() == 36
    {
        return Ok(text.trim().to_owned());
    }
    let random = crate::id::random()?;
    let id = format!(
        "{}-{}-{}-{}-{}",
        &random[..8],
        &random[8..12],
        &random[12..16],
        &random[16..20],
        &random[20..32]
    );
    std::fs::write(&path, &id).map_err(|error| Error::because(format!("write {}", path.display()), error))?;
    Ok(id)
}

fn runtime(config: &Config, name: &str) -> Result<Runtime> {
    let name = if name.is_empty() { &config.default_runtime } else { name };
    if let Some(runtime) = config.runtimes.get(name) {
        return Ok(runtime.clone());
    }
    match name {
        BUILT_IN_RUNTIME | "runc" | "io.containerd.runc.v2" => Ok(Runtime::default()),
        _ => Err(Error::bad_parameter(format!("unknown or invalid runtime name: {name}"))),
    }
}

/// Defaults of containers that would only fail at the first create or start otherwise.
fn check_defaults(config: &Config, seccomp: &Seccomp) -> Result<()> {
    runtime(config, "").map_err(|error| error.context("default-runtime"))?;
    crate::container::check_log(&config.log).map_err(|error| error.context("log-driver and log-opts"))?;
    if let Seccomp::Profile(_) = seccomp {
        crate::container::security::filter(seccomp, &std::collections::BTreeSet::new())
            .map_err(|error| error.context(format!("seccomp-profile {}", config.seccomp_profile)))?;
    }
    let gateway = &config.dns.host_gateway_ip;
    if !gateway.is_empty() && gateway.parse::<std::net::IpAddr>().is_err() {
        return Err(Error::bad_parameter(format!("invalid host-gateway-ip: {gateway}")));
    }
    if let Some(limit) =
        config.default_ulimits.iter().find(|limit| crate::container::rlimit_type(&limit.name).is_none())
    {
        return Err(Error::bad_parameter(format!("invalid default ulimit: {}", limit.name)));
    }
    match &config.init_path {
        Some(path) if !path.is_file() => {
            Err(Error::bad_parameter(format!("init-path {} is not a file", path.display())))
        }
        _ => Ok(()),
    }
}

/// The daemon's default filter.
fn seccomp(config: &Config) -> Result<Seccomp> {
    const MOST: usize = 4 << 20;
    match config.seccomp_profile.as_str() {
        "" | "builtin" => Ok(Seccomp::Default),
        "unconfined" => Ok(Seccomp::Unconfined),
        path => {
            let bytes = sys::file::read_bounded(path, MOST)
                .map_err(|error| Error::because(format!("opening seccomp profile ({path}) failed"), error))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Seccomp::Profile(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_defaults_are_refused_by_name_when_the_engine_opens() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::new("/nowhere".into(), "/nowhere".into());
            change(&mut config);
            check_defaults(&config, &Seccomp::Default).err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| {}), None);
        assert!(refused(|config| config.default_runtime = "x".into()).unwrap().contains("default-runtime"));
        assert!(refused(|config| config.log.driver = "nope".into()).unwrap().contains("log-driver"));
        let option = |config: &mut Config| drop(config.log.options.insert("colour".into(), "red".into()));
        assert!(refused(option).unwrap().contains("log-opts"));
        assert!(
            refused(|config| config.dns.host_gateway_ip = "x".into()).unwrap().contains("host-gateway-ip")
        );
        assert!(refused(|config| config.init_path = Some("/nowhere".into())).unwrap().contains("init-path"));
        let profile = Seccomp::Profile("{".to_owned());
        assert!(check_defaults(&Config::new("/a".into(), "/b".into()), &profile).is_err());
    }
}
