//! Which namespaces are new, and which are joined.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespaceType as Type, Spec};
use sys::process::Namespaces;

use crate::error::{Context, Error, Result};

/// A namespace to join.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) kind: Namespaces,
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
}

/// All namespaces of a container.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) new: Namespaces,
    pub(crate) joined: Vec<Joined>,
}

impl Plan {
    /// Whether the container has a namespace of this kind that isn't the runtime's.
    pub(crate) fn has(&self, kind: Namespaces) -> bool {
        self.new.contains(kind) || self.joins(kind)
    }

    /// Whether a namespace of this kind is joined.
    pub(crate) fn joins(&self, kind: Namespaces) -> bool {
        self.joined.iter().any(|j| j.kind == kind)
    }
}

pub(crate) fn kind(typ: Type) -> Namespaces {
    match typ {
        Type::Mount => Namespaces::MOUNT,
        Type::Cgroup => Namespaces::CGROUP,
        Type::Uts => Namespaces::UTS,
        Type::Ipc => Namespaces::IPC,
        Type::User => Namespaces::USER,
        Type::Pid => Namespaces::PID,
        Type::Network => Namespaces::NET,
        Type::Time => Namespaces::TIME,
    }
}

/// Every kind that the specification lists, new or joined.
pub(crate) fn listed(spec: &Spec) -> Namespaces {
    let list = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    list.into_iter().flatten().fold(Namespaces::NONE, |all, ns| all | kind(ns.typ()))
}

/// The user namespace that the network namespace of the caller belongs to, if that is not our own: whoever lives in the
/// network must live there, too, to have any right to it.
fn owner(netns: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let owner = sys::process::owning_user_namespace(netns).step("namespaces", "owner of the network")?;
    let own = std::fs::File::open("/proc/self/ns/user").step("namespaces", "user")?;
    let number = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let same = number(owner.as_fd()).step("namespaces", "user")?
        == number(own.as_fd()).step("namespaces", "user")?;
    Ok((!same).then_some(owner))
}

/// Reads the list, and opens what is to be joined. `netns` goes before what the list says about the network, and a new
/// user namespace of the list is the one that `netns` belongs to, unless that is our own.
pub(crate) fn plan(spec: &Spec, netns: Option<BorrowedFd<'_>>) -> Result<Plan> {
    let mut plan = Plan::default();
    if let Some(fd) = netns {
        let fd = sys::fd::dup_above(fd, 3).step("namespaces", "net")?;
        plan.joined.push(Joined { kind: Namespaces::NET, fd, path: PathBuf::from("network of the caller") });
    }
    let list = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    let mut seen = Namespaces::NONE;
    for namespace in list.into_iter().flatten() {
        let kind = kind(namespace.typ());
        if seen.contains(kind) {
            return Err(Error::invalid("namespaces", format!("{} is listed twice", namespace.typ())));
        }
        seen |= kind;
        if kind == Namespaces::NET && netns.is_some() {
            continue;
        }
        match namespace.path().as_ref().filter(|p| !p.as_os_str().is_empty()) {
            None => match netns.filter(|_| kind == Namespaces::USER).map(owner).transpose()?.flatten() {
                Some(fd) => {
                    let path = PathBuf::from("owner of the caller's network");
                    plan.joined.push(Joined { kind, fd, path });
                }
                None => plan.new |= kind,
            },
            Some(path) if !path.is_absolute() => {
                return Err(Error::invalid(
                    "namespaces",
                    format!("{}: must be an absolute path", path.display()),
                ));
            }
            Some(path) => {
                let file = std::fs::File::open(path).step("join namespace", path.display())?;
                plan.joined.push(Joined { kind, fd: file.into(), path: path.clone() });
            }
        }
    }
    Ok(plan)
}
