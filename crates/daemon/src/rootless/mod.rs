//! An ordinary user's daemon: it lives in a user namespace whose root it is, with the mounts and the network that belong
//! to that. `newuidmap` and `newgidmap` write the mapping; nothing else has more rights than the user.
//!
//! A process does nothing but hold the namespaces (`holder`). It and the program that connects the network with the
//! host's (`outside`) live as long as the daemon or a container: the next daemon joins them, whatever ended the last.

mod groups;
mod holder;
mod outside;
mod ports;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use sys::cgroup::DELEGATED;
use sys::cgroup::systemd::Manager;
use sys::process::Namespaces;

/// In the environment of a daemon that is in its user namespace: the user's number on the host.
const MARK: &str = "BERTH_ROOTLESS";
/// There, too, where containers can't have control groups: why. Where they can, `DELEGATED` says which.
const NO_GROUPS: &str = "BERTH_NO_CGROUPS";
/// File in the state directory that is locked while the namespaces are looked for or made.
const LOCK: &str = "rootless.lock";

/// Directories of a user's daemon.
pub(crate) struct Roots {
    /// Images, containers, volumes.
    pub(crate) data: PathBuf,
    /// State that ends with the session.
    pub(crate) exec: PathBuf,
    /// Its configuration file.
    pub(crate) config: PathBuf,
}

/// Whether this is, or will be, an ordinary user's daemon.
pub(crate) fn is_on() -> bool {
    std::env::var_os(MARK).is_some() || !rustix::process::geteuid().is_root()
}

/// The user's number on the host.
fn user() -> u32 {
    let marked = std::env::var(MARK).ok().and_then(|text| text.parse().ok());
    marked.unwrap_or_else(|| rustix::process::getuid().as_raw())
}

/// Where an ordinary user's daemon keeps its things; `None` for root's.
///
/// # Errors
/// The environment doesn't say where.
pub(crate) fn roots() -> Result<Option<Roots>> {
    if !is_on() {
        return Ok(None);
    }
    let directory = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || directory("HOME").context("HOME is not set, so there is no place for images");
    let beneath_home = |name: &str, path: &str| match directory(name) {
        Some(directory) => Ok(directory),
        None => home().map(|home| home.join(path)),
    };
    let owner = rustix::process::geteuid().as_raw();
    let state = api::place::users_state(user(), owner, |name| std::env::var_os(name));
    Ok(Some(Roots {
        data: beneath_home("XDG_DATA_HOME", ".local/share")?.join("berth"),
        exec: state.context("neither XDG_RUNTIME_DIR nor HOME is set, so there is no place for state")?,
        config: beneath_home("XDG_CONFIG_HOME", ".config")?.join("berth/daemon.json"),
    }))
}

/// What an ordinary user's daemon knows of control groups.
pub(crate) enum Groups {
    /// Nothing: it is not yet where it will be.
    Unknown,
    /// All are beneath this one.
    Beneath(String),
    /// There are none, for this reason.
    None(String),
}

/// The control groups that this daemon may make.
pub(crate) fn groups() -> Groups {
    let told = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    match (told(MARK), told(DELEGATED)) {
        (None, _) => Groups::Unknown,
        (_, Some(path)) => Groups::Beneath(path),
        _ => Groups::None(told(NO_GROUPS).unwrap_or_default()),
    }
}

/// The systemd that starts and ends this daemon, if one does.
pub(crate) fn manager() -> Option<Manager> {
    if is_on() { groups::manager(user(), rustix::process::geteuid().as_raw()) } else { Some(Manager::System) }
}

/// Brings an ordinary user's daemon into its namespaces: there it begins again with the same words. Returns only in
/// them, with the socket of the process that opens ports on the host, or for root. The process has no threads yet.
///
/// # Errors
/// There are no subordinate ids, no `newuidmap`; the kernel refuses user namespaces.
pub(crate) fn enter(config: &engine::Config, words: &[OsString]) -> Result<Option<OwnedFd>> {
    if rustix::process::geteuid().is_root() {
        if is_on() {
            // of the program that began again the kernel knows only `exe`
            rustix::thread::set_name(c"berthd")?;
            return ports::inherited();
        }
        return Ok(None);
    }
    let (user, exec_root) = (user(), config.exec_root.as_path());
    // nobody else's business, wherever it lies
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(exec_root);
    made.with_context(|| format!("cannot make {}", exec_root.display()))?;
    let lock = std::fs::File::create(exec_root.join(LOCK)).context("cannot lock the state directory")?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    let place = match holder::find(exec_root) {
        Some(place) => place,
        None => {
            outside::end(exec_root);
            holder::make(exec_root)?
        }
    };
    let groups = groups::Groups::find(&config.tag, user, place.pid());
    let way_out = outside::connect(exec_root, place.pid());
    if let (Ok(groups), Some(pid)) = (&groups, way_out) {
        // where it can't be moved it lives where the daemon began
        let _ = groups.bring(pid);
    }
    let host_ports = ports::begin()?;
    join(&place).context("cannot join the daemon's namespaces")?;
    drop(lock);
    rustix::stdio::dup2_stdin(&host_ports).context("cannot hand over the socket of published ports")?;
    drop(host_ports);
    let error = Command::new("/proc/self/exe")
        .arg0("berthd")
        .args(words.iter().skip(1))
        .env(MARK, user.to_string())
        .env(DELEGATED, groups.as_ref().map_or("", |groups| groups.path().as_str()))
        .env(NO_GROUPS, groups.as_ref().err().map_or("", String::as_str))
        .exec();
    Err(anyhow!(error).context("cannot begin again in the user namespace"))
}

fn join(place: &holder::Place) -> Result<()> {
    let open = |name: &str| std::fs::File::open(format!("/proc/{}/ns/{name}", place.pid()));
    let (user, network, mounts) = (open("user")?, open("net")?, open("mnt")?);
    sys::process::join_namespaces(user, Namespaces::USER)?;
    sys::process::join_namespaces(network, Namespaces::NET)?;
    sys::process::unshare_filesystem()?;
    sys::process::join_namespaces(mounts, Namespaces::MOUNT)?;
    if !rustix::process::geteuid().is_root() {
        bail!("the user namespace belongs to another user");
    }
    Ok(())
}

/// Ends what an ordinary user's daemon needs beside itself, when no container needs it.
pub(crate) fn leave(exec_root: &Path) {
    if is_on() {
        outside::end(exec_root);
        holder::end(exec_root);
    }
}
