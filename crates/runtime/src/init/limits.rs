//! Limits that belong to the process and not to a control group.

use std::io::Write;

use oci_spec::runtime::{LinuxPersonalityDomain, Spec};
use sys::Errno;

use crate::error::{Context, Error, Result};
use crate::plan::process::Plan;

/// How much the kernel likes to kill it when memory is out. Through the host's procfs, which is still there.
pub(super) fn oom_score(process: &Plan<'_>, in_user_namespace: bool) -> Result<()> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    let path = "/proc/self/oom_score_adj";
    let file = std::fs::OpenOptions::new().write(true).open(path);
    match file.and_then(|mut file| file.write_all(score.to_string().as_bytes())) {
        // A container of an ordinary user keeps what it has when less is not allowed. So does one that asks for nothing
        // special where not even root may lower it: everything on that machine lives with the same.
        Err(e) if (in_user_namespace || score == 0) && e.kind() == std::io::ErrorKind::PermissionDenied => {
            Ok(())
        }
        other => other.step("oom_score_adj", score),
    }
}

/// Scheduling, persona and resource limits.
pub(super) fn apply(process: &Plan<'_>, spec: &Spec) -> Result<()> {
    const PER_LINUX32: u64 = 8;
    if let Some((class, priority)) = process.io_priority {
        sys::sched::set_io_priority(class, priority).step("ioPriority", "")?;
    }
    if let Some(scheduler) = &process.scheduler {
        sys::sched::set_attributes(scheduler).step("scheduler", "")?;
    }
    if let Some(personality) = spec.linux().as_ref().and_then(|l| l.personality().as_ref()) {
        if personality.flags().as_ref().is_some_and(|f| !f.is_empty()) {
            return Err(Error::invalid("personality", "flags are not supported"));
        }
        let persona = match personality.domain() {
            LinuxPersonalityDomain::PerLinux => 0,
            LinuxPersonalityDomain::PerLinux32 => PER_LINUX32,
        };
        sys::sched::set_personality(persona).step("personality", "")?;
    }
    for (resource, limit) in &process.rlimits {
        rustix::process::setrlimit(*resource, *limit).map_err(|errno| {
            let hint =
                if errno == Errno::PERM { " (raising a hard limit needs CAP_SYS_RESOURCE)" } else { "" };
            Error::errno("rlimit", format!("{resource:?} {limit:?}{hint}"), errno)
        })?;
    }
    Ok(())
}
