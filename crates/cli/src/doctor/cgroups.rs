//! Control groups, of either version.

use std::path::Path;

use super::{Check, fail, ok, read, warn};

/// Controllers that limits are made of, as version 2 names them.
const WANTED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

pub(super) fn checks() -> Vec<Check> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![judge("v2", &read("/sys/fs/cgroup/cgroup.controllers"))];
    }
    let mounted: Vec<String> = read("/proc/self/mountinfo")
        .lines()
        .filter_map(|line| line.split_once(" - cgroup "))
        .flat_map(|(_, rest)| rest.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>())
        .map(|name| if name == "blkio" { "io".to_owned() } else { name })
        .collect();
    if mounted.is_empty() {
        return vec![fail(
            "cgroups",
            "no cgroup file system is mounted: nothing can be limited, and no container started",
            "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd",
        )];
    }
    vec![judge("v1", &mounted.join(" "))]
}

fn judge(version: &str, controllers: &str) -> Check {
    let has = |name: &&str| controllers.split_whitespace().any(|found| found == *name);
    let missing: Vec<&str> = WANTED.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        let io = if version == "v1" { "; io limits hold for direct writes alone" } else { "" };
        return ok("cgroups", format!("version {version}, with {}{io}", WANTED.join(", ")));
    }
    warn(
        "cgroups",
        format!("version {version} without {}: their limits are refused", missing.join(", ")),
        "boot with cgroup_enable=memory, or take a kernel that has these controllers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(judge("v2", "cpuset cpu io memory hugetlb pids").status, Status::Ok);
        let check = judge("v2", "cpuset cpu pids");
        assert!(check.status == Status::Warn && check.found.contains("io, memory"), "{check:?}");
    }
}
