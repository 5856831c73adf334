//! The daemon: whether it answers, who may reach it, and whether something is left of what it does not know.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use api::Action;
use api::container::Summary;
use api::system::Info;

use super::{Check, ok, warn};
use crate::client::Client;
use crate::client::host::roots_socket;

/// Where a daemon with default settings keeps everything.
const DATA_ROOT: &str = "/var/lib/berth";
/// Docker's socket, which gives root away as root's own does.
const DOCKERS_SOCKET: &str = "/var/run/docker.sock";

/// What the daemon says of itself.
pub(super) struct Told {
    pub(super) data_root: PathBuf,
}

pub(super) fn ask(client: Option<&Client>) -> (Told, Vec<Check>) {
    let mut told = Told { data_root: DATA_ROOT.into() };
    let mut checks = sockets(&[&roots_socket(), Path::new(DOCKERS_SOCKET)]);
    let Some(client) = client else { return (told, checks) };
    match client.call(Action::SystemInfo, "").fetch::<Info>() {
        Ok(info) => {
            told.data_root = info.docker_root_dir.clone().into();
            checks.push(ok("daemon", format!("answers, version {}", info.server_version)));
            for text in &info.warnings {
                checks.push(warn(
                    "daemon",
                    text.trim_start_matches("WARNING: ").to_owned(),
                    "see berth info",
                ));
            }
            checks.extend(orphans(client, &info));
        }
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().to_owned();
            checks.push(warn("daemon", first, "start berthd, or say where it is with -H"));
        }
    }
    (told, checks)
}

/// Who may connect: everybody who may is root on this machine.
fn sockets(places: &[&Path]) -> Vec<Check> {
    let mut checks = Vec::new();
    for place in places {
        let Ok(found) = std::fs::metadata(place) else { continue };
        if !found.file_type().is_socket() {
            continue;
        }
        let mode = found.permissions().mode() & 0o777;
        let text = format!("{} has mode {mode:03o}", place.display());
        checks.push(if mode & 0o002 == 0 {
            ok("sockets", text)
        } else {
            warn(
                "sockets",
                format!("{text}: everybody on this machine can become root by it"),
                format!("chmod o-w {}", place.display()),
            )
        });
    }
    checks
}

/// Cgroups that bear the id of no container that the daemon knows. Only a daemon with the default root is judged: the
/// cgroups of others bear its tag.
fn orphans(client: &Client, info: &Info) -> Option<Check> {
    if info.docker_root_dir != DATA_ROOT {
        return None;
    }
    let known: Vec<Summary> = client.call(Action::ContainerList, "").query("all", "1").fetch().ok()?;
    let known: BTreeSet<&str> = known.iter().map(|container| container.id.as_str()).collect();
    let mut left = BTreeSet::new();
    for parent in ["/sys/fs/cgroup/berth".into()].into_iter().chain(hierarchies()) {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if id && !known.contains(name.as_str()) {
                left.insert(name);
            }
        }
    }
    // a container that is made meanwhile, or a step of a build, is no orphan: only many are worth a word
    Some(match left.len() {
        0 => ok("leftovers", "no cgroup is left of a container that is gone"),
        count => warn(
            "leftovers",
            format!(
                "{count} cgroups bear ids that the daemon does not list (steps of a running build among them)"
            ),
            "restart berthd when no build runs: it sweeps what nobody owns at its start",
        ),
    })
}

/// Version 1 has one directory for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join("berth")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_socket_for_everybody_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        for (mode, status) in [(0o660, Status::Ok), (0o666, Status::Warn)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(sockets(&[path.as_path()])[0].status, status);
        }
        assert!(sockets(&[dir.path()]).is_empty());
    }
}
