//! Kernel parameters of the container's namespaces, written through a procfs that is surely one.

use oci_spec::runtime::Spec;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Context, Error, Result};
use crate::init::State;

/// Writes them all.
pub(super) fn write(spec: &Spec, state: &State) -> Result<()> {
    let list = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref());
    let Some(list) = list.filter(|l| !l.is_empty()) else { return Ok(()) };
    // the table's procfs, or one of our own that is mounted nowhere
    let own: OwnedFd;
    let proc = match &state.proc {
        Some(fd) => fd.as_fd(),
        None => {
            own = super::mounts::make("proc", "proc", &[], None, std::path::Path::new("/proc"))?;
            own.as_fd()
        }
    };
    for (key, value) in list {
        let path = path(key).ok_or_else(|| Error::invalid("sysctl", format!("{key}: no such parameter")))?;
        let file = sys::mount::open_in_proc(proc, &path, true).step("sysctl", key)?;
        std::fs::File::from(file).write_all(value.as_bytes()).step("sysctl", format!("{key}={value}"))?;
    }
    Ok(())
}

/// `net.ipv4.ip_forward` is `sys/net/ipv4/ip_forward`; written with slashes, the dots belong to the names.
fn path(key: &str) -> Option<String> {
    let first = key.find(['.', '/'])?;
    let relative = match key.as_bytes()[first] {
        b'/' => key.to_owned(),
        // a slash after dots stands for a dot in a name (sysctl.d(5))
        _ => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    };
    let ordinary = relative.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    ordinary.then(|| format!("sys/{relative}"))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn dots_and_slashes() {
        assert_eq!(path("net.ipv4.ip_forward").unwrap(), "sys/net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.1/rp_filter").unwrap(), "sys/net/ipv4/conf/eth0.1/rp_filter");
        assert_eq!(path("net.ipv4.conf.eth0/1.rp_filter").unwrap(), "sys/net/ipv4/conf/eth0.1/rp_filter");
        for bad in ["", "kernel", "kernel..x", "../x/y", "net/../../x", "/x"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
