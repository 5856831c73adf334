//! The specification's resources as settings of a cgroup: checks and arithmetic, no I/O.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxHugepageLimit, LinuxMemory,
    LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};
use sys::cgroup::{
    BlockIo, Cpu, Cpuset, DeviceAccess, DeviceKind, DeviceRate, DeviceRule, DeviceWeight, Limit, Memory,
    Network, Rdma, Settings,
};

/// Smallest and largest period of processor time in microseconds (`scheduler/sched-bwc.rst`).
const PERIOD: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;
/// Smallest quota in microseconds.
const QUOTA_MIN: i64 = 1_000;
/// Block device weights of v1 and BFQ.
const WEIGHT: std::ops::RangeInclusive<u16> = 10..=1000;
/// Longest list of processors or nodes that is passed on.
const LIST_MAX: usize = 4096;

/// A resource that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resources: {name} {value}: {reason}")]
pub struct Error {
    /// The field, in the specification's spelling.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Why it can't be.
    pub reason: &'static str,
}

fn error<T>(name: &'static str, value: impl ToString, reason: &'static str) -> Result<T, Error> {
    Err(Error { name, value: value.to_string(), reason })
}

/// What the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new container: the devices that every container has are allowed beside those of the list, and
    /// all others denied.
    Create,
    /// A running container: devices stay as they are unless there is a list.
    Update,
}

/// Checks `resources` and gives them as settings for `sys::cgroup`.
///
/// # Errors
/// [`Error`] names the field, its value and the reason.
pub fn settings(resources: &LinuxResources, purpose: Purpose) -> Result<Settings, Error> {
    Ok(Settings {
        cpu: resources.cpu().as_ref().map_or(Ok(Cpu::default()), cpu)?,
        cpuset: resources.cpu().as_ref().map_or(Ok(Cpuset::default()), cpuset)?,
        memory: resources.memory().as_ref().map_or(Ok(Memory::default()), memory)?,
        pids: resources.pids().as_ref().and_then(|pids| self::pids(pids.limit())),
        block_io: resources.block_io().as_ref().map_or(Ok(BlockIo::default()), block_io)?,
        hugepages: resources.hugepage_limits().iter().flatten().map(hugepage).collect::<Result<_, _>>()?,
        network: network(resources),
        rdma: rdma(resources),
        devices: devices(resources.devices().as_deref(), purpose)?,
        unified: unified(resources),
    })
}

/// Zero is how writers say "not set".
fn set<T: PartialEq + Default>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

/// Docker writes 0 (and −1) for unlimited.
fn pids(limit: i64) -> Option<Limit> {
    match limit {
        0 => None,
        limit => Some(Limit::from_signed(limit)),
    }
}

fn cpu(cpu: &LinuxCpu) -> Result<Cpu, Error> {
    let (period, quota) = (set(cpu.period()), set(cpu.quota()));
    if let Some(period) = period.filter(|period| !PERIOD.contains(period)) {
        return error("cpu.period", period, "must be 1000 to 1000000 microseconds");
    }
    if let Some(quota) = quota.filter(|&quota| (1..QUOTA_MIN).contains(&quota)) {
        return error("cpu.quota", quota, "must be at least 1000 microseconds");
    }
    if let (Some(burst), Some(quota)) = (cpu.burst(), quota.and_then(|quota| u64::try_from(quota).ok()))
        && burst > quota
    {
        return error("cpu.burst", burst, "must not be above the quota");
    }
    if let Some(idle) = cpu.idle().filter(|idle| !(0..=1).contains(idle)) {
        return error("cpu.idle", idle, "must be 0 or 1");
    }
    if let (Some(runtime), Some(period)) = (cpu.realtime_runtime(), set(cpu.realtime_period()))
        && u64::try_from(runtime).is_ok_and(|runtime| runtime > period)
    {
        return error("cpu.realtimeRuntime", runtime, "must not be above realtimePeriod");
    }
    Ok(Cpu {
        shares: set(cpu.shares()),
        quota: quota.map(Limit::from_signed),
        period,
        burst: cpu.burst(),
        realtime_runtime: set(cpu.realtime_runtime()),
        realtime_period: set(cpu.realtime_period()),
        idle: cpu.idle(),
    })
}

fn cpuset(cpu: &LinuxCpu) -> Result<Cpuset, Error> {
    let cpus = cpu.cpus().clone().filter(|list| !list.is_empty());
    let mems = cpu.mems().clone().filter(|list| !list.is_empty());
    cpus.as_deref().map_or(Ok(()), |list| check_list("cpu.cpus", list))?;
    mems.as_deref().map_or(Ok(()), |list| check_list("cpu.mems", list))?;
    Ok(Cpuset { cpus, mems })
}

/// A list like `0-3,7`, also with the kernel's `0-15:2/4`. Whether the processors exist is the kernel's to
/// say.
fn check_list(name: &'static str, list: &str) -> Result<(), Error> {
    let well_formed = |part: &str| {
        let (range, stride) =
            part.split_once(':').map_or((part, None), |(range, stride)| (range, Some(stride)));
        let number = |text: &str| text.parse::<u32>().ok();
        let range_ok = match range.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
            None => number(range).is_some(),
        };
        let stride_ok = stride.is_none_or(|stride| {
            stride.split_once('/').and_then(|(used, group)| number(used).zip(number(group))).is_some()
        });
        range_ok && stride_ok
    };
    if list.len() <= LIST_MAX && list.trim().split(',').all(|part| well_formed(part.trim())) {
        return Ok(());
    }
    error(name, list.chars().take(64).collect::<String>(), "must be a list like 0-3,7")
}

fn memory(memory: &LinuxMemory) -> Result<Memory, Error> {
    if let Some(kernel) = set(memory.kernel()).filter(|&kernel| kernel > 0) {
        return error("memory.kernel", kernel, "Linux has no limit of kernel memory any more (since 5.16)");
    }
    let (limit, swap) = (set(memory.limit()), set(memory.swap()));
    match (limit, swap) {
        (Some(limit), Some(swap)) if limit > 0 && swap > 0 && swap < limit => {
            return error(
                "memory.swap",
                swap,
                "counts memory and swap together, and must not be below the limit",
            );
        }
        (None | Some(..=-1), Some(swap)) if swap > 0 && limit.is_some() => {
            return error("memory.swap", swap, "can't be limited while memory is not");
        }
        _ => {}
    }
    let reservation = set(memory.reservation());
    if let (Some(reservation), Some(limit)) = (reservation, limit)
        && reservation > limit
        && limit > 0
    {
        return error("memory.reservation", reservation, "must not be above the limit");
    }
    // The largest number is "as the kernel has it" to some writers.
    let swappiness = memory.swappiness().filter(|&value| value != u64::MAX);
    if let Some(value) = swappiness.filter(|&value| value > 100) {
        return error("memory.swappiness", value, "must be 0 to 100");
    }
    Ok(Memory {
        limit: limit.map(Limit::from_signed),
        swap: swap.map(Limit::from_signed),
        reservation: reservation.map(Limit::from_signed),
        kernel_tcp: set(memory.kernel_tcp()).map(Limit::from_signed),
        swappiness,
        disable_oom_killer: memory.disable_oom_killer().unwrap_or(false),
        check_before_update: memory.check_before_update().unwrap_or(false),
    })
}

fn block_io(io: &LinuxBlockIo) -> Result<BlockIo, Error> {
    Ok(BlockIo {
        weight: weight("blockIO.weight", io.weight())?,
        leaf_weight: weight("blockIO.leafWeight", io.leaf_weight())?,
        weight_devices: io.weight_device().iter().flatten().map(weight_device).collect::<Result<_, _>>()?,
        read_bps: rates(io.throttle_read_bps_device().as_deref())?,
        write_bps: rates(io.throttle_write_bps_device().as_deref())?,
        read_iops: rates(io.throttle_read_iops_device().as_deref())?,
        write_iops: rates(io.throttle_write_iops_device().as_deref())?,
    })
}

fn weight(name: &'static str, weight: Option<u16>) -> Result<Option<u16>, Error> {
    match set(weight) {
        Some(weight) if !WEIGHT.contains(&weight) => error(name, weight, "must be 10 to 1000"),
        weight => Ok(weight),
    }
}

fn weight_device(entry: &LinuxWeightDevice) -> Result<DeviceWeight, Error> {
    Ok(DeviceWeight {
        device: (
            number("blockIO.weightDevice.major", entry.major())?,
            number("blockIO.weightDevice.minor", entry.minor())?,
        ),
        weight: weight("blockIO.weightDevice.weight", entry.weight())?,
        leaf_weight: weight("blockIO.weightDevice.leafWeight", entry.leaf_weight())?,
    })
}

fn rates(list: Option<&[LinuxThrottleDevice]>) -> Result<Vec<DeviceRate>, Error> {
    let rate = |entry: &LinuxThrottleDevice| {
        let major = number("blockIO.throttle.major", entry.major())?;
        let minor = number("blockIO.throttle.minor", entry.minor())?;
        Ok(DeviceRate { device: (major, minor), rate: entry.rate() })
    };
    list.unwrap_or_default().iter().map(rate).collect()
}

fn number(name: &'static str, value: i64) -> Result<u32, Error> {
    u32::try_from(value).or_else(|_| error(name, value, "is not a device number"))
}

fn hugepage(limit: &LinuxHugepageLimit) -> Result<(String, u64), Error> {
    let size = limit.page_size();
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    if !digits.is_some_and(|digits| digits.parse::<u32>().is_ok_and(|number| number > 0)) {
        return error("hugepageLimits.pageSize", size, "must be a size like 2MB");
    }
    match u64::try_from(limit.limit()) {
        Ok(bytes) => Ok((size.clone(), bytes)),
        Err(_) => error("hugepageLimits.limit", limit.limit(), "must not be negative"),
    }
}

fn network(resources: &LinuxResources) -> Network {
    let Some(network) = resources.network() else { return Network::default() };
    let priorities = network.priorities().iter().flatten();
    Network {
        class_id: set(network.class_id()),
        priorities: priorities.map(|entry| (entry.name().clone(), entry.priority())).collect(),
    }
}

fn rdma(resources: &LinuxResources) -> BTreeMap<String, Rdma> {
    let devices = resources.rdma().iter().flatten();
    devices
        .map(|(name, limit)| {
            (name.clone(), Rdma { handles: limit.hca_handles(), objects: limit.hca_objects() })
        })
        .collect()
}

fn unified(resources: &LinuxResources) -> BTreeMap<String, String> {
    resources.unified().iter().flatten().map(|(file, text)| (file.clone(), text.clone())).collect()
}

/// What every container may use: making any node (opening it is another matter), and the devices that
/// the runtime makes in `/dev` (`config-linux.md`, "Default Devices"), with the pseudo-terminals.
const ALWAYS: [(Option<u32>, Option<u32>); 8] = [
    (Some(1), Some(3)), // null
    (Some(1), Some(5)), // zero
    (Some(1), Some(7)), // full
    (Some(1), Some(8)), // random
    (Some(1), Some(9)), // urandom
    (Some(5), Some(0)), // tty
    (Some(5), Some(2)), // ptmx
    (Some(136), None),  // pts/*
];

fn devices(list: Option<&[LinuxDeviceCgroup]>, purpose: Purpose) -> Result<Option<Vec<DeviceRule>>, Error> {
    let rules = list.unwrap_or_default().iter().map(device_rule);
    match purpose {
        Purpose::Update if list.is_none_or(<[_]>::is_empty) => Ok(None),
        Purpose::Create | Purpose::Update => {
            rules.chain(always().map(Ok)).collect::<Result<_, _>>().map(Some)
        }
    }
}

fn always() -> impl Iterator<Item = DeviceRule> {
    let rule = |kind, major, minor, access| DeviceRule { allow: true, kind, major, minor, access };
    let nodes = [DeviceKind::Char, DeviceKind::Block].map(|kind| rule(kind, None, None, DeviceAccess::MKNOD));
    let usual = ALWAYS.map(|(major, minor)| rule(DeviceKind::Char, major, minor, DeviceAccess::ALL));
    nodes.into_iter().chain(usual)
}

fn device_rule(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, Error> {
    let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::A => DeviceKind::All,
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
        LinuxDeviceType::P => return error("devices.type", "p", "is not a device"),
    };
    // Negative is a wildcard, as absent is.
    let part = |name, value: Option<i64>| match value.filter(|&value| value >= 0) {
        Some(value) => number(name, value).map(Some),
        None => Ok(None),
    };
    let word = rule.access().as_deref().unwrap_or("rwm");
    let word = if word.is_empty() { "rwm" } else { word };
    let Some(access) = DeviceAccess::parse(word) else {
        return error("devices.access", word, "must consist of r, w and m");
    };
    Ok(DeviceRule {
        allow: rule.allow(),
        kind,
        major: part("devices.major", rule.major())?,
        minor: part("devices.minor", rule.minor())?,
        access,
    })
}

#[cfg(test)]
mod tests;
