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

impl HostConfig {
    /// The hidden paths as inspect shows them: the defaults where they apply.
    #[must_use]
    pub fn shown_masked_paths(&self) -> Option<Vec<String>> {
        shown(self, self.masked_paths.as_ref(), &MASKED)
    }

    /// The read-only paths as inspect shows them: the defaults where they apply.
    #[must_use]
    pub fn shown_readonly_paths(&self) -> Option<Vec<String>> {
        shown(self, self.readonly_paths.as_ref(), &READ_ONLY)
    }
}

fn shown(host: &HostConfig, asked: Option<&Vec<String>>, default: &[&str]) -> Option<Vec<String>> {
    let unconfined = host.security_opt.iter().any(|option| option == "systempaths=unconfined");
    match asked {
        Some(asked) => Some(asked.clone()),
        None if host.privileged => None,
        None if unconfined => Some(Vec::new()),
        None => Some(default.iter().map(|path| (*path).to_owned()).collect()),
    }
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
