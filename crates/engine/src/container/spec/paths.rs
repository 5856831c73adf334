//! Paths of `/proc` and `/sys` that a container must not see or change.

use crate::container::HostConfig;
use crate::container::security::Options;

/// Hidden by default.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only by default.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Docker's defaults, or what the request says, or nothing for the privileged.
pub(super) fn masked(host: &HostConfig, security: &Options) -> Vec<String> {
    choose(host, security, host.masked_paths.as_ref(), &MASKED)
}

/// Docker's defaults, or what the request says, or nothing for the privileged.
pub(super) fn readonly(host: &HostConfig, security: &Options) -> Vec<String> {
    choose(host, security, host.readonly_paths.as_ref(), &READ_ONLY)
}

fn choose(
    host: &HostConfig,
    security: &Options,
    asked: Option<&Vec<String>>,
    default: &[&str],
) -> Vec<String> {
    if let Some(asked) = asked {
        return asked.clone();
    }
    if host.privileged || security.unconfined_paths {
        return Vec::new();
    }
    default.iter().map(|path| (*path).to_owned()).collect()
}
