//! The kernel's version and features.

use std::path::Path;

use super::{Check, fail, ok, read, warn};

/// The oldest kernel that has everything that is relied on: `openat2(2)` and `pidfd_getfd(2)`.
const OLDEST: (u32, u32) = (5, 6);
/// The first that can mount with ids changed.
const IDMAPPED: (u32, u32) = (5, 12);

pub(super) fn checks() -> Vec<Check> {
    let release = read("/proc/sys/kernel/osrelease");
    let version = parse(&release);
    let mut checks = vec![match version {
        Some(version) if version < OLDEST => fail(
            "kernel",
            format!("Linux {release} is older than {}.{}", OLDEST.0, OLDEST.1),
            "install a newer kernel: paths in containers are resolved by openat2(2), which it lacks",
        ),
        Some(version) if version < IDMAPPED => warn(
            "kernel",
            format!("Linux {release} has no idmapped mounts (5.12)"),
            "volumes and layers with changed owners need a newer kernel; all else works",
        ),
        Some(_) => ok("kernel", format!("Linux {release}")),
        None => warn("kernel", format!("the version {release:?} can't be read"), "report this"),
    }];
    checks.push(overlay(&release));
    checks.push(seccomp());
    checks.push(user_namespaces());
    checks.extend(modules(&release));
    checks
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn overlay(release: &str) -> Check {
    let known = read("/proc/filesystems").lines().any(|line| line.ends_with("\toverlay"));
    if known || module(release, "overlay") {
        return ok("overlay", "the kernel has overlay file systems");
    }
    warn(
        "overlay",
        "the kernel has no overlay file systems: each container would copy its whole image (vfs)",
        "load the module overlay, or take a kernel with CONFIG_OVERLAY_FS",
    )
}

fn seccomp() -> Check {
    let actions = read("/proc/sys/kernel/seccomp/actions_avail");
    if actions.split(' ').any(|action| action == "errno") {
        return ok("seccomp", "the kernel filters system calls");
    }
    warn(
        "seccomp",
        "the kernel does not filter system calls: containers are less shut off",
        "take a kernel with CONFIG_SECCOMP_FILTER",
    )
}

fn user_namespaces() -> Check {
    let most: u64 = read("/proc/sys/user/max_user_namespaces").parse().unwrap_or(0);
    if !Path::new("/proc/self/ns/user").exists() || most == 0 {
        return warn(
            "user namespaces",
            "there are none: --userns and containers without root don't work",
            "sysctl user.max_user_namespaces=15000, or take a kernel with CONFIG_USER_NS",
        );
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return warn(
            "user namespaces",
            "only root may make them: a daemon without root can't run",
            "sysctl kernel.unprivileged_userns_clone=1, if daemons without root are wanted",
        );
    }
    ok("user namespaces", "everybody may make them")
}

/// What networks are made of; overlay networks and encrypted ones may do without.
fn modules(release: &str) -> Vec<Check> {
    let lacks = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| !module(release, name)).collect()
    };
    let needed = lacks(&["bridge", "veth", "nf_tables"]);
    let extra = lacks(&["vxlan", "macvlan", "wireguard"]);
    let mut checks = vec![if needed.is_empty() {
        ok("network devices", "bridge, veth and nf_tables are there")
    } else {
        warn(
            "network devices",
            format!("not seen: {}; containers may have no network but none and host", needed.join(", ")),
            format!("modprobe {}, or take a kernel that has them", needed.join(" ")),
        )
    }];
    if !extra.is_empty() {
        checks.push(ok(
            "network drivers",
            format!("not seen: {}; the networks that are made of them are refused by name", extra.join(", ")),
        ));
    }
    checks
}

/// Whether a module is loaded, built in, or lies ready.
fn module(release: &str, name: &str) -> bool {
    if Path::new("/sys/module").join(name).exists() || loaded_under_another_name(name) {
        return true;
    }
    let listed = |file: &str| {
        let text = sys::file::read_bounded(Path::new("/lib/modules").join(release).join(file), 16 << 20);
        let text = text.unwrap_or_default();
        let wanted = format!("/{name}.ko");
        text.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes())
    };
    listed("modules.builtin") || listed("modules.dep")
}

/// What a built-in has left elsewhere.
fn loaded_under_another_name(name: &str) -> bool {
    match name {
        "nf_tables" => Path::new("/proc/sys/net/netfilter").exists(),
        "bridge" => Path::new("/proc/sys/net/bridge").exists(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse("5.15"), Some((5, 15)));
        assert!(parse("5.4.0-generic").unwrap() < OLDEST);
        assert_eq!(parse("x"), None);
    }
}
