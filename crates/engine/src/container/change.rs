//! `update`: the arithmetic of changed limits. Pure.

use super::check::{Host, check_limits};
use super::verb::Update;
use crate::container::{HostConfig, Resources, RestartPolicy};
use crate::error::{Error, Result};

/// Puts an update into a description; unset fields stay. Gives warnings.
///
/// # Errors
/// The result would be wrong.
pub(crate) fn apply(id: &str, host: &mut HostConfig, update: Update, facts: &Host) -> Result<Vec<String>> {
    let cannot = |error: Error| error.context(format!("Cannot update container {id}"));
    if host.auto_remove && update.restart_policy.is_some_and(|policy| policy != RestartPolicy::No) {
        return Err(cannot(Error::bad_parameter(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        )));
    }
    let mut wanted = host.resources.clone();
    let new = update.resources;
    fixed(&new).map_err(cannot)?;
    exclusive(&wanted, &new).map_err(cannot)?;
    numbers(&mut wanted, &new);
    words(&mut wanted, &new);
    if new.nano_cpus != 0 {
        (wanted.cpu_period, wanted.cpu_quota) = (0, 0);
    } else if new.cpu_period != 0 || new.cpu_quota != 0 {
        wanted.nano_cpus = 0;
    }
    if wanted.memory_swap != -1 && wanted.memory_swap != 0 && wanted.memory > wanted.memory_swap {
        return Err(cannot(Error::bad_parameter(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        )));
    }
    let warnings = check_limits(&mut wanted, facts, true)?;
    host.resources = wanted;
    if let Some(policy) = update.restart_policy {
        host.restart_policy = policy;
    }
    Ok(warnings)
}

/// What stays as it was at create is refused by name.
fn fixed(new: &Resources) -> Result<()> {
    let refused = [
        ("CgroupParent", !new.cgroup_parent.is_empty()),
        ("BlkioWeightDevice", !new.blkio_weight_device.is_empty()),
        ("BlkioDeviceReadBps", !new.blkio_device_read_bps.is_empty()),
        ("BlkioDeviceWriteBps", !new.blkio_device_write_bps.is_empty()),
        ("BlkioDeviceReadIOps", !new.blkio_device_read_iops.is_empty()),
        ("BlkioDeviceWriteIOps", !new.blkio_device_write_iops.is_empty()),
        ("Devices", !new.devices.is_empty()),
        ("DeviceCgroupRules", !new.device_cgroup_rules.is_empty()),
        ("DeviceRequests", !new.device_requests.is_empty()),
        ("MemorySwappiness", new.memory_swappiness.is_some_and(|value| value != -1)),
        ("OomKillDisable", new.oom_kill_disable == Some(true)),
        ("Ulimits", !new.ulimits.is_empty()),
    ];
    match refused.iter().find(|(_, refused)| *refused) {
        Some((name, _)) => Err(Error::bad_parameter(format!(
            "{name} cannot be updated: it is fixed when a container is created"
        ))),
        None => Ok(()),
    }
}

fn exclusive(old: &Resources, new: &Resources) -> Result<()> {
    let conflict = |what: &str, why: &str| {
        Err(Error::bad_parameter(format!(
            "Conflicting options: {what} cannot be updated as {why} has already been set"
        )))
    };
    if new.nano_cpus > 0 && old.cpu_quota > 0 {
        return conflict("Nano CPUs", "CPU Quota");
    }
    if new.nano_cpus > 0 && old.cpu_period > 0 {
        return conflict("Nano CPUs", "CPU Period");
    }
    if new.cpu_quota > 0 && old.nano_cpus > 0 {
        return conflict("CPU Quota", "NanoCPUs");
    }
    if new.cpu_period > 0 && old.nano_cpus > 0 {
        return conflict("CPU Period", "NanoCPUs");
    }
    Ok(())
}

fn numbers(old: &mut Resources, new: &Resources) {
    for (old, new) in [
        (&mut old.cpu_shares, new.cpu_shares),
        (&mut old.memory, new.memory),
        (&mut old.memory_reservation, new.memory_reservation),
        (&mut old.memory_swap, new.memory_swap),
        (&mut old.kernel_memory, new.kernel_memory),
        (&mut old.kernel_memory_tcp, new.kernel_memory_tcp),
        (&mut old.nano_cpus, new.nano_cpus),
        (&mut old.cpu_period, new.cpu_period),
        (&mut old.cpu_quota, new.cpu_quota),
        (&mut old.cpu_realtime_period, new.cpu_realtime_period),
        (&mut old.cpu_realtime_runtime, new.cpu_realtime_runtime),
    ] {
        if new != 0 {
            *old = new;
        }
    }
    if new.blkio_weight != 0 {
        old.blkio_weight = new.blkio_weight;
    }
    old.pids_limit = new.pids_limit.or(old.pids_limit);
}

fn words(old: &mut Resources, new: &Resources) {
    if !new.cpuset_cpus.is_empty() {
        old.cpuset_cpus.clone_from(&new.cpuset_cpus);
    }
    if !new.cpuset_mems.is_empty() {
        old.cpuset_mems.clone_from(&new.cpuset_mems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_is_refused_by_name() {
        assert!(fixed(&Resources { memory: 8 << 20, ..Resources::default() }).is_ok());
        let swappiness = Resources { memory_swappiness: Some(9), ..Resources::default() };
        assert!(fixed(&swappiness).unwrap_err().to_string().contains("MemorySwappiness cannot be updated"));
    }
}
