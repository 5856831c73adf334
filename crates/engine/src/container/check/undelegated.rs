//! Limits that an ordinary user's daemon can't set: without control groups, or with those that the user has a part of.

use super::Host;
use crate::container::Resources;

/// Takes out what the control groups that there are can't do, each with a sentence. Memory, processes and weights of
/// block devices have been judged already.
pub(super) fn discard(wanted: &mut Resources, host: &Host, warnings: &mut Vec<String>) {
    let mut discard = |set: bool, controller: &str, what: &str| {
        if !set {
            return;
        }
        let reason = match controller {
            _ if !host.cgroups => {
                "the containers of an ordinary user's daemon have no control groups".to_owned()
            }
            "" => "only root's daemon can set them".to_owned(),
            name => format!("the controller {name} is not delegated to the user"),
        };
        warnings.push(format!("{what} discarded: {reason}."));
    };
    if !host.memory {
        discard(wanted.memory_reservation != 0, "memory", "Memory reservation");
        (wanted.memory_reservation, wanted.memory_swap) = (0, 0);
        wanted.memory_swappiness = None;
    }
    if !host.cpu {
        let limit = wanted.nano_cpus != 0 || wanted.cpu_quota != 0 || wanted.cpu_period != 0;
        discard(limit, "cpu", "CPU limit");
        discard(wanted.cpu_shares != 0, "cpu", "CPU shares");
        (wanted.nano_cpus, wanted.cpu_quota, wanted.cpu_period, wanted.cpu_shares) = (0, 0, 0, 0);
    }
    if !host.cpuset {
        discard(!wanted.cpuset_cpus.is_empty() || !wanted.cpuset_mems.is_empty(), "cpuset", "Cpuset");
        wanted.cpuset_cpus.clear();
        wanted.cpuset_mems.clear();
    }
    if !host.io {
        let mut set = false;
        for rates in [
            &mut wanted.blkio_device_read_bps,
            &mut wanted.blkio_device_write_bps,
            &mut wanted.blkio_device_read_iops,
            &mut wanted.blkio_device_write_iops,
        ] {
            set |= !rates.is_empty();
            rates.clear();
        }
        discard(set, "io", "Block I/O limit");
    }
    if !host.device_rules {
        discard(!wanted.device_cgroup_rules.is_empty(), "", "Device rules");
        wanted.device_cgroup_rules.clear();
    }
    if !host.cgroups {
        discard(!wanted.cgroup_parent.is_empty(), "", "Parent of control groups");
        *wanted = Resources {
            ulimits: std::mem::take(&mut wanted.ulimits),
            devices: std::mem::take(&mut wanted.devices),
            device_requests: std::mem::take(&mut wanted.device_requests),
            ..Resources::default()
        };
    }
}
