//! What a system container has beside what every container has.

use super::{FileMount, Inputs};
use crate::container::{Container, system};

/// State of one run, in memory: path, mode.
const STATE: [(&str, &str); 4] = [
    ("/run", "mode=755"),
    ("/run/lock", "mode=1777"),
    ("/tmp", "mode=1777"),
    ("/var/log/journal", "mode=755"),
];

/// Files of cgroup v2 that bear limits. A container that makes groups below its own must not change its own limits,
/// also where the host's mount lacks `nsdelegate`.
const LIMITS: [&str; 30] = [
    "cgroup.freeze",
    "cgroup.max.depth",
    "cgroup.max.descendants",
    "cpu.idle",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpu.weight.nice",
    "cpuset.cpus",
    "cpuset.cpus.partition",
    "cpuset.mems",
    "hugetlb.1GB.max",
    "hugetlb.1GB.rsvd.max",
    "hugetlb.2MB.max",
    "hugetlb.2MB.rsvd.max",
    "hugetlb.32MB.max",
    "hugetlb.32MB.rsvd.max",
    "hugetlb.64KB.max",
    "hugetlb.64KB.rsvd.max",
    "io.bfq.weight",
    "io.max",
    "io.weight",
    "memory.high",
    "memory.max",
    "memory.oom.group",
    "memory.swap.high",
    "memory.swap.max",
    "misc.max",
    "pids.max",
    "rdma.max",
];

/// The tmpfs that the request has nothing else for.
pub(super) fn mounts(inputs: &Inputs<'_>) -> Vec<FileMount> {
    if !inputs.container.system {
        return Vec::new();
    }
    let given = |path: &str| inputs.files.iter().any(|file| file.destination.trim_end_matches('/') == path);
    let tmpfs = |(path, mode): &(&str, &str)| FileMount {
        source: None,
        destination: (*path).to_owned(),
        options: ["nosuid", "nodev", "tmpcopyup", mode].map(str::to_owned).to_vec(),
    };
    STATE.iter().filter(|(path, _)| !given(path)).map(tmpfs).collect()
}

/// How `/sys/fs/cgroup` is mounted, beside the common options: on v2 the container's own group is writable, on v1
/// only the hierarchy without a controller.
pub(super) fn cgroup_options(inputs: &Inputs<'_>) -> &'static [&'static str] {
    match (inputs.container.system, inputs.cgroup_v2) {
        (false, _) => &[],
        (true, true) => &["rw"],
        (true, false) => &["x-cgroup-rw=name=systemd"],
    }
}

/// Limits that stay out of reach though the group is writable.
pub(super) fn readonly_paths(inputs: &Inputs<'_>) -> Vec<String> {
    let container = inputs.container;
    let writable = container.system && inputs.cgroup_v2 && !container.host.privileged;
    if !writable || system::sees_cgroups(&container.mounts) {
        return Vec::new();
    }
    LIMITS.iter().map(|file| format!("/sys/fs/cgroup/{file}")).collect()
}

/// What tells systemd that it is in a container, and what its machine id is when the image has none.
pub(super) fn environment(container: &Container, env: &mut Vec<String>) {
    if !container.system {
        return;
    }
    let uuid = container.id.get(..32).unwrap_or_default();
    for (name, value) in [("container", "docker"), ("container_uuid", uuid)] {
        let said = |var: &String| var.split_once('=').is_some_and(|(have, _)| have == name);
        if !env.iter().any(said) {
            env.push(format!("{name}={value}"));
        }
    }
}
