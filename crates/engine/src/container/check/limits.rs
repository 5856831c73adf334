//! The arithmetic of limits, with Docker's sentences.

use super::undelegated;
use crate::container::{DeviceMapping, HostConfig, Resources};
use crate::error::{Error, Result};

/// Smallest memory limit.
const MINIMUM_MEMORY: i64 = 6 << 20;

/// What this host has and can limit.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Containers have control groups.
    pub(crate) cgroups: bool,
    /// The highest group of the daemon's user namespace.
    pub(crate) last_gid: u32,
    /// CPUs that are online.
    pub(crate) cpus: usize,
    /// Their list, `0-3`.
    pub(crate) cpu_list: String,
    /// Memory nodes, `0`.
    pub(crate) memory_nodes: String,
    /// Cgroup version 2 rules all controllers.
    pub(crate) cgroup_v2: bool,
    /// Swap is accounted.
    pub(crate) swap: bool,
    /// Real-time scheduling can be shared out.
    pub(crate) realtime: bool,
    /// The memory controller is there.
    pub(crate) memory: bool,
    /// The pids controller is there.
    pub(crate) pids: bool,
    /// The cpu controller is there.
    pub(crate) cpu: bool,
    /// The cpuset controller is there.
    pub(crate) cpuset: bool,
    /// Rates of block devices can be limited.
    pub(crate) io: bool,
    /// Weights of block devices work.
    pub(crate) blkio_weight: bool,
    /// Which devices a container may use can be ruled.
    pub(crate) device_rules: bool,
}

/// Checks and completes limits; what this kernel can't do is taken out, with a warning.
///
/// # Errors
/// Docker's sentence about the first setting that is wrong.
pub(crate) fn check_limits(wanted: &mut Resources, host: &Host, update: bool) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    memory(wanted, host, update, &mut warnings)?;
    kernel_memory(wanted, &mut warnings);
    oom(wanted, host, &mut warnings);
    if wanted.pids_limit.is_some_and(|limit| limit > 0) && !host.pids {
        warnings.push(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
                .to_owned(),
        );
        wanted.pids_limit = None;
    }
    undelegated::discard(wanted, host, &mut warnings);
    if !host.device_rules {
        own_names(wanted)?;
    }
    cpu(wanted, host)?;
    realtime(wanted, host)?;
    cpusets(wanted, host)?;
    blkio(wanted, host, &mut warnings)?;
    Ok(warnings)
}

/// An ordinary user makes no device: the host's own is bound, and the container's configuration has one name for both.
fn own_names(wanted: &Resources) -> Result<()> {
    let renamed = |device: &&DeviceMapping| {
        !device.path_in_container.is_empty() && device.path_in_container != device.path_on_host
    };
    match wanted.devices.iter().find(renamed) {
        None => Ok(()),
        Some(device) => bad(format!(
            "device {}:{}: an ordinary user's daemon gives containers devices by their names on the host only",
            device.path_on_host, device.path_in_container
        )),
    }
}

fn bad<T>(sentence: impl Into<String>) -> Result<T> {
    Err(Error::bad_parameter(sentence))
}

fn memory(wanted: &mut Resources, host: &Host, update: bool, warnings: &mut Vec<String>) -> Result<()> {
    if wanted.memory > 0 && wanted.memory < MINIMUM_MEMORY {
        return bad("Minimum memory limit allowed is 6MB");
    }
    if wanted.memory < 0 || wanted.memory_reservation < 0 {
        return bad("invalid memory limit: it can not be less than 0");
    }
    if wanted.memory > 0 && !host.memory {
        warnings.push(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
                .to_owned(),
        );
        wanted.memory = 0;
        wanted.memory_swap = -1;
    }
    if wanted.memory > 0 && wanted.memory_swap != -1 && wanted.memory_swap != 0 && !host.swap {
        warnings.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
                .to_owned(),
        );
        wanted.memory_swap = -1;
    }
    if wanted.memory > 0 && wanted.memory_swap > 0 && wanted.memory_swap < wanted.memory {
        return bad("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if wanted.memory == 0 && wanted.memory_swap > 0 && !update {
        return bad("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    swappiness(wanted, host, warnings)?;
    if wanted.memory_reservation > 0 && wanted.memory_reservation < MINIMUM_MEMORY {
        return bad("Minimum memory reservation allowed is 6MB");
    }
    if wanted.memory > 0 && wanted.memory_reservation > 0 && wanted.memory < wanted.memory_reservation {
        return bad("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if wanted.memory > 0 && wanted.memory_swap == 0 && host.swap && !update {
        // as much swap as memory; the figure counts both
        wanted.memory_swap = wanted.memory.saturating_mul(2);
    }
    Ok(())
}

fn swappiness(wanted: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    match wanted.memory_swappiness {
        Some(-1) => wanted.memory_swappiness = None,
        Some(value) if !(0..=100).contains(&value) => {
            return bad(format!("Invalid value: {value}, valid memory swappiness range is 0-100"));
        }
        Some(_) if host.cgroup_v2 => {
            warnings.push(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."
                    .to_owned(),
            );
            wanted.memory_swappiness = None;
        }
        _ => {}
    }
    Ok(())
}

fn kernel_memory(wanted: &mut Resources, warnings: &mut Vec<String>) {
    if wanted.kernel_memory > 0 {
        warnings.push(
            "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded."
                .to_owned(),
        );
        wanted.kernel_memory = 0;
    }
    if wanted.kernel_memory_tcp > 0 {
        warnings.push(
            "Your kernel does not support kernel memory TCP limit capabilities or the cgroup is not mounted. Limitation discarded."
                .to_owned(),
        );
        wanted.kernel_memory_tcp = 0;
    }
}

fn oom(wanted: &mut Resources, host: &Host, warnings: &mut Vec<String>) {
    if wanted.oom_kill_disable != Some(true) {
        return;
    }
    if host.cgroup_v2 {
        warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned());
        wanted.oom_kill_disable = None;
    } else if wanted.memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
                .to_owned(),
        );
    }
}

fn cpu(wanted: &Resources, host: &Host) -> Result<()> {
    if wanted.nano_cpus != 0 {
        if wanted.cpu_period > 0 {
            return bad("Conflicting options: Nano CPUs and CPU Period cannot both be set.");
        }
        if wanted.cpu_quota > 0 {
            return bad("Conflicting options: Nano CPUs and CPU Quota cannot both be set.");
        }
        let most = i64::try_from(host.cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        if wanted.nano_cpus < 10_000_000 || wanted.nano_cpus > most {
            return bad(format!(
                "range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available",
                host.cpus
            ));
        }
    }
    if wanted.cpu_shares < 0 {
        return bad(format!("invalid CPU shares ({}): value must be a positive integer", wanted.cpu_shares));
    }
    if wanted.cpu_period != 0 && !(1_000..=1_000_000).contains(&wanted.cpu_period) {
        return bad("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    }
    if wanted.cpu_quota > 0 && wanted.cpu_quota < 1_000 {
        return bad("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    Ok(())
}

fn realtime(wanted: &Resources, host: &Host) -> Result<()> {
    if wanted.cpu_realtime_period == 0 && wanted.cpu_realtime_runtime == 0 {
        return Ok(());
    }
    if !host.realtime {
        return bad("Your kernel does not support CPU real-time scheduler");
    }
    if wanted.cpu_realtime_period != 0 && wanted.cpu_realtime_runtime > wanted.cpu_realtime_period {
        return bad("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    Ok(())
}

fn cpusets(wanted: &Resources, host: &Host) -> Result<()> {
    set_within(&wanted.cpuset_cpus, &host.cpu_list, "cpus", "CPUs")?;
    set_within(&wanted.cpuset_mems, &host.memory_nodes, "mems", "memory nodes")
}

fn set_within(wanted: &str, available: &str, word: &str, plural: &str) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(set) = ranges(wanted) else {
        return bad(format!("Invalid value {wanted} for cpuset {word}"));
    };
    let have = ranges(available).unwrap_or_default();
    let inside = |range: &(u32, u32)| {
        (range.0..=range.1).all(|one| have.iter().any(|(low, high)| (*low..=*high).contains(&one)))
    };
    if set.iter().all(inside) {
        return Ok(());
    }
    bad(format!("Requested {plural} are not available - requested {wanted}, available: {available}"))
}

/// Highest number a cpuset may name, as Docker.
const MOST_CPUS: u32 = 8192;

/// `0-3,5` as ranges.
pub(crate) fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    text.trim()
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            (low <= high && high < MOST_CPUS).then_some((low, high))
        })
        .collect()
}

/// How many numbers a list like `0-3,5` names; `None` when it is none.
pub(crate) fn count(list: &str) -> Option<usize> {
    let ranges = ranges(list).filter(|ranges| !ranges.is_empty())?;
    Some(ranges.iter().map(|(low, high)| (high - low + 1) as usize).sum())
}

fn blkio(wanted: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let weights = wanted.blkio_weight > 0 || !wanted.blkio_weight_device.is_empty();
    if weights && !host.blkio_weight {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                .to_owned(),
        );
        wanted.blkio_weight = 0;
        wanted.blkio_weight_device.clear();
    }
    let in_range = |weight: u16| weight == 0 || (10..=1000).contains(&weight);
    if !in_range(wanted.blkio_weight)
        || wanted.blkio_weight_device.iter().any(|device| !in_range(device.weight))
    {
        return bad("Range of blkio weight is from 10 to 1000");
    }
    Ok(())
}

/// Checks what `HostConfig` adds to the limits.
///
/// # Errors
/// Docker's sentence about the first setting that is wrong.
pub(crate) fn check_host_numbers(host: &HostConfig) -> Result<()> {
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return bad(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        ));
    }
    if host.shm_size < 0 {
        return bad("SHM size can not be less than 0");
    }
    for limit in &host.resources.ulimits {
        if crate::container::spec::rlimit_type(&limit.name).is_none() {
            return bad(format!("invalid ulimit type: {}", limit.name));
        }
        if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
            return bad(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            cgroups: true,
            last_gid: i32::MAX.unsigned_abs(),
            cpus: 2,
            cpu_list: "0-1".into(),
            memory_nodes: "0".into(),
            cgroup_v2: false,
            swap: true,
            realtime: false,
            memory: true,
            pids: true,
            cpu: true,
            cpuset: true,
            io: true,
            blkio_weight: true,
            device_rules: true,
        }
    }

    fn refused(change: impl FnOnce(&mut Resources)) -> String {
        let mut wanted = Resources::default();
        change(&mut wanted);
        check_limits(&mut wanted, &host(), false).unwrap_err().to_string()
    }

    #[test]
    fn a_memory_limit_brings_as_much_swap() {
        let swap = |memory_swap, host: &Host, update| {
            let mut wanted = Resources { memory: 8 << 20, memory_swap, ..Resources::default() };
            check_limits(&mut wanted, host, update).unwrap();
            wanted.memory_swap
        };
        assert_eq!(swap(0, &host(), false), 16 << 20);
        assert_eq!(swap(-1, &host(), false), -1);
        assert_eq!(swap(9 << 20, &host(), false), 9 << 20);
        assert_eq!(swap(0, &host(), true), 0);
        assert_eq!(swap(0, &Host { swap: false, ..host() }, false), 0);
    }

    #[test]
    fn wrong_limits_get_dockers_sentences() {
        assert_eq!(refused(|r| r.memory = 1 << 20), "Minimum memory limit allowed is 6MB");
        assert_eq!(
            refused(|r| (r.memory, r.memory_reservation) = (7 << 20, 8 << 20)),
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        );
        assert_eq!(
            refused(|r| r.memory_swap = 8 << 20),
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        );
        assert_eq!(
            refused(|r| r.nano_cpus = 3_000_000_000),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
        );
        assert_eq!(
            refused(|r| r.cpuset_cpus = "0-7".into()),
            "Requested CPUs are not available - requested 0-7, available: 0-1"
        );
        assert_eq!(refused(|r| r.cpuset_cpus = "x".into()), "Invalid value x for cpuset cpus");
        assert_eq!(refused(|r| r.blkio_weight = 5), "Range of blkio weight is from 10 to 1000");
    }

    #[test]
    fn what_is_not_delegated_is_left_out_with_a_warning() {
        let all = Resources {
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            cpu_shares: 512,
            cpuset_cpus: "0".into(),
            pids_limit: Some(10),
            blkio_weight: 100,
            cgroup_parent: "/above".into(),
            device_cgroup_rules: vec!["c 1:3 r".into()],
            ..Resources::default()
        };
        let judged = |host: &Host| {
            let mut wanted = all.clone();
            let warnings = check_limits(&mut wanted, host, false).unwrap();
            (wanted, warnings.join(" "))
        };
        let part = Host {
            cgroup_v2: true,
            cpuset: false,
            io: false,
            blkio_weight: false,
            device_rules: false,
            ..host()
        };
        let (wanted, warnings) = judged(&part);
        assert_eq!((wanted.memory, wanted.nano_cpus, wanted.pids_limit), (64 << 20, 500_000_000, Some(10)));
        assert_eq!((wanted.cpu_shares, wanted.cgroup_parent.as_str()), (512, "/above"));
        assert!(wanted.cpuset_cpus.is_empty() && wanted.device_cgroup_rules.is_empty(), "{wanted:?}");
        assert!(warnings.contains("Cpuset discarded: the controller cpuset is not delegated"), "{warnings}");
        assert!(warnings.contains("Device rules discarded"), "{warnings}");
        let none = Host { cgroups: false, memory: false, swap: false, pids: false, cpu: false, ..part };
        let (wanted, warnings) = judged(&none);
        assert_eq!(wanted, Resources::default());
        for what in ["CPU limit", "CPU shares", "Cpuset", "Parent of control groups", "Device rules"] {
            assert!(warnings.contains(&format!("{what} discarded: ")), "{what}: {warnings}");
        }
    }

    #[test]
    fn what_the_kernel_cannot_do_is_left_out_with_a_warning() {
        let mut wanted = Resources { oom_kill_disable: Some(true), ..Resources::default() };
        let v2 = Host { cgroup_v2: true, ..host() };
        assert_eq!(check_limits(&mut wanted, &v2, false).unwrap().len(), 1);
        assert_eq!(wanted.oom_kill_disable, None);
    }
}
