//! System containers: the first process is systemd, which is the manager of a whole system and needs a few things
//! that a program does not (its interface for containers: systemd.io/CONTAINER_INTERFACE).
//!
//! It gets tmpfs where it keeps state of this run, the variable `container`, a terminal at `/dev/console`, a stop
//! signal that means "shut down", and control groups below its own. It gets no capability, no device and no system
//! call more than any container.

use std::sync::Arc;

use sys::path::Root;

use super::mode::NamespaceMode;
use super::{Container, FileMount, HostConfig, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// The annotation that turns it on or off: `true` (when the command is systemd, the default), `false`, `always`.
pub const ANNOTATION: &str = "io.berth.systemd";

/// Signal at which systemd shuts the system down (`systemd(1)`, "Signals").
const STOP_SIGNAL: &str = "SIGRTMIN+3";

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Never,
    WhenSystemd,
    Always,
}

/// What of a request is lost when it has been completed with defaults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    wish: Wish,
    cgroup_namespace: bool,
}

/// Reads a request before defaults are put into it.
///
/// # Errors
/// The annotation says none of the three words; it contradicts `--init` or the process namespace.
pub(crate) fn asked(host: &HostConfig) -> Result<Asked> {
    let wish = match host.annotations.get(ANNOTATION).map(String::as_str) {
        None | Some("true") => Wish::WhenSystemd,
        Some("false") => Wish::Never,
        Some("always") => Wish::Always,
        Some(other) => {
            return Err(Error::bad_parameter(format!(
                "invalid systemd mode: {other:?} (must be \"true\", \"false\" or \"always\")"
            )));
        }
    };
    let first = host.init != Some(true) && super::mode::parse_pid(&host.pid_mode)? == NamespaceMode::Private;
    if wish == Wish::Always && !first {
        return Err(Error::bad_parameter(
            "conflicting options: systemd mode always, and an init or another process namespace: systemd must be the first process",
        ));
    }
    let wish = if first { wish } else { Wish::Never };
    Ok(Asked { wish, cgroup_namespace: !host.cgroupns_mode.is_empty() })
}

/// Whether a command may be systemd, by its name alone: all other commands cost no more than this.
fn may_be(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("init" | "systemd"))
}

/// Whether a command is systemd: `/sbin/init` is as often a link to busybox, which wants nothing of all this.
fn is_systemd(root: &Root, path: &str) -> bool {
    let path = if path == "init" { "/sbin/init" } else { path };
    let Ok(command) = root.stat(path) else { return false };
    ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"].iter().any(|systemd| {
        root.stat(systemd).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (command.st_dev, command.st_ino))
    })
}

/// Makes a container that runs systemd a system container, where that is wished. Its root exists already. Blocks.
///
/// # Errors
/// The root can't be mounted; it is insisted on with a runtime that can't do it.
pub(crate) fn settle(engine: &Inner, container: &mut Container, asked: Asked) -> Result<()> {
    let wanted = match asked.wish {
        Wish::Never => false,
        Wish::Always => true,
        Wish::WhenSystemd => {
            may_be(&container.path) && {
                let mount = engine.store.snapshot(&container.id)?.mount()?;
                is_systemd(&Root::in_root(mount), &container.path)
            }
        }
    };
    // cgroup v1 has no specification's word for one writable hierarchy: only our own runtime knows it
    let able = engine.host.cgroup_v2 || engine.runtime(&container.host.runtime)?.path.is_empty();
    if wanted && !engine.host.cgroups {
        return match asked.wish {
            Wish::Always => Err(Error::bad_parameter(
                "systemd mode always: containers of this daemon have no control groups (cgroup driver none)",
            )),
            _ => Ok(()),
        };
    }
    if wanted && !able && asked.wish == Wish::Always {
        return Err(Error::bad_parameter(format!(
            "systemd mode always: runtime {} can't give a container its control groups on cgroup v1",
            container.host.runtime
        )));
    }
    if wanted && able {
        turn_on(container, asked);
    }
    Ok(())
}

fn turn_on(container: &mut Container, asked: Asked) {
    container.system = true;
    if container.config.stop_signal.is_empty() {
        STOP_SIGNAL.clone_into(&mut Arc::make_mut(&mut container.config).stop_signal);
    }
    let given = sees_cgroups(&container.mounts);
    let as_given = container.host.privileged && !container.mounts.iter().any(is_read_only_tree);
    let own_view = !asked.cgroup_namespace && !given && !as_given;
    let host = Arc::make_mut(&mut container.host);
    if own_view {
        // what /proc/self/cgroup says must be a path of the mounted tree
        "private".clone_into(&mut host.cgroupns_mode);
    }
    // a daemon's default of an init is meant for programs
    host.init = host.init.or(Some(false));
}

const VIEW: &str = "/sys/fs/cgroup";

/// Whoever binds control groups himself gets what he binds.
pub(crate) fn sees_cgroups(mounts: &[MountPoint]) -> bool {
    let below = |mount: &MountPoint| {
        mount.destination.strip_prefix(VIEW).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.iter().any(|mount| below(mount) && !is_read_only_tree(mount))
}

/// `-v /sys/fs/cgroup:/sys/fs/cgroup:ro`, the old recipe for systemd in a container. It lived on the hierarchies in the
/// tree staying writable, the host's whole ones; a tree that is read-only throughout is of no use. Such a container gets
/// its own groups in that place.
fn is_read_only_tree(mount: &MountPoint) -> bool {
    mount.kind == MountKind::Bind && !mount.rw && mount.source == VIEW && mount.destination == VIEW
}

/// Whether a mount of the request gives way to the container's own view of control groups.
pub(crate) fn gives_way(container: &Container, file: &FileMount) -> bool {
    let at = |mount: &&MountPoint| mount.destination == file.destination;
    container.system && container.mounts.iter().find(at).is_some_and(is_read_only_tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_an_init_are_looked_at() {
        assert!(may_be("/sbin/init") && may_be("/lib/systemd/systemd") && may_be("init"));
        assert!(!may_be("sh") && !may_be("/usr/bin/systemd-nspawn") && !may_be("/init.sh") && !may_be(""));
    }

    #[test]
    fn the_annotation_is_judged() {
        let with = |word: &str| HostConfig {
            annotations: [(ANNOTATION.to_owned(), word.to_owned())].into(),
            ..HostConfig::default()
        };
        assert_eq!(asked(&HostConfig::default()).unwrap().wish, Wish::WhenSystemd);
        assert_eq!(asked(&with("false")).unwrap().wish, Wish::Never);
        assert!(asked(&with("maybe")).unwrap_err().to_string().contains("\"maybe\""));
        assert!(asked(&HostConfig { init: Some(true), ..with("always") }).is_err());
        let shared = HostConfig { pid_mode: "host".to_owned(), ..HostConfig::default() };
        assert_eq!(asked(&shared).unwrap().wish, Wish::Never);
    }

    #[test]
    fn systemd_is_known_by_the_file_and_not_by_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = || Root::open_in_root(dir.path()).unwrap();
        std::fs::create_dir_all(dir.path().join("usr/lib/systemd")).unwrap();
        std::fs::create_dir_all(dir.path().join("sbin")).unwrap();
        std::fs::write(dir.path().join("busybox"), "").unwrap();
        std::os::unix::fs::symlink("/busybox", dir.path().join("sbin/init")).unwrap();
        assert!(!is_systemd(&root(), "/sbin/init"));
        std::fs::write(dir.path().join("usr/lib/systemd/systemd"), "").unwrap();
        assert!(!is_systemd(&root(), "/sbin/init"));
        std::fs::remove_file(dir.path().join("sbin/init")).unwrap();
        std::os::unix::fs::symlink("/usr/lib/systemd/systemd", dir.path().join("sbin/init")).unwrap();
        assert!(is_systemd(&root(), "/sbin/init") && is_systemd(&root(), "init"));
        assert!(is_systemd(&root(), "/usr/lib/systemd/systemd"));
    }
}
