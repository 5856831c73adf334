//! The container's cgroup and system call filter, from its specification.

use anyhow::{Result, bail};
use oci_spec::runtime::Spec;
use runtime::resources::{Purpose, settings};
use runtime::seccomp::{Compiled, compile};
use sys::cgroup::systemd::Unit;
use sys::cgroup::{Cgroup, CgroupPath, Driver, Settings};

use super::global::Global;

/// Makes the cgroup with its limits. An ordinary user may have to do without.
pub(crate) fn cgroup(global: &Global, id: &str, spec: &Spec) -> Result<Option<Cgroup>> {
    let linux = spec.linux().as_ref();
    let path = linux.and_then(|l| l.cgroups_path().as_ref()).and_then(|p| p.to_str()).unwrap_or("");
    let made = if global.systemd {
        let text = if path.is_empty() { format!(":berth:{id}") } else { path.to_owned() };
        let unit = Unit::parse(&text)?;
        Cgroup::create(&unit.path()?, &Driver::Systemd(unit))
    } else {
        let path = if path.is_empty() { id } else { path };
        Cgroup::create(&CgroupPath::new(path)?, &Driver::Cgroupfs)
    };
    let cgroup = match made {
        Ok(cgroup) => cgroup,
        Err(_) if global.rootless => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let applied = wanted(spec).and_then(|settings| Ok(cgroup.apply(&settings)?));
    match applied {
        Err(error) if !global.rootless => {
            // the first error is the one to report
            let _ = cgroup.remove();
            Err(error)
        }
        _ => Ok(Some(cgroup)),
    }
}

fn wanted(spec: &Spec) -> Result<Settings> {
    let none = oci_spec::runtime::LinuxResources::default();
    let resources = spec.linux().as_ref().and_then(|l| l.resources().as_ref()).unwrap_or(&none);
    Ok(settings(resources, Purpose::Create)?)
}

/// Compiles the filter, if the specification has one.
pub(crate) fn filter(spec: &Spec) -> Result<Option<Compiled>> {
    let policy = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    Ok(policy.map(compile).transpose()?)
}

/// Hands the notification descriptor to whoever answers it.
pub(crate) fn notify(
    filter: Option<&Compiled>,
    fd: Option<&std::os::fd::OwnedFd>,
    state: &serde_json::Value,
    pid: i32,
) -> Result<()> {
    use std::os::fd::AsFd;
    let Some(fd) = fd else { return Ok(()) };
    let Some(listener) = filter.and_then(|f| f.listener.as_ref()) else {
        bail!("the filter sends notifications, and the specification names no listener")
    };
    let message = serde_json::json!({
        "ociVersion": "1.2.0", "fds": ["seccompFd"], "pid": pid, "metadata": listener.metadata, "state": state,
    });
    let socket = std::os::unix::net::UnixStream::connect(&listener.path)?;
    sys::fd::send(&socket, message.to_string().as_bytes(), &[fd.as_fd()])?;
    Ok(())
}
