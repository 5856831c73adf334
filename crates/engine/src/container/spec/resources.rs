//! Docker's limits as the specification's.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder, LinuxWeightDeviceBuilder,
};

use super::built;
use crate::container::{Resources, ThrottleDevice};
use crate::error::{Error, Result};

/// Period over which `--cpus` is counted, µs.
const CPU_PERIOD: u64 = 100_000;

/// The limits, device rules left out. `devices` has the numbers of the block devices that are named.
///
/// # Errors
/// A named device is not among `devices`.
pub(crate) fn limits(wanted: &Resources, devices: &BTreeMap<String, (i64, i64)>) -> Result<LinuxResources> {
    let mut limits = LinuxResources::default();
    limits.set_devices(None);
    limits.set_memory(memory(wanted));
    limits.set_cpu(cpu(wanted));
    limits.set_block_io(block_io(wanted, devices)?);
    limits.set_pids(wanted.pids_limit.filter(|limit| *limit != 0).map(|limit| {
        let mut pids = LinuxPids::default();
        pids.set_limit(if limit < 0 { -1 } else { limit });
        pids
    }));
    Ok(limits)
}

fn positive(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}

fn memory(wanted: &Resources) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    memory.set_limit(positive(wanted.memory));
    memory.set_reservation(positive(wanted.memory_reservation));
    memory.set_swap((wanted.memory_swap != 0).then_some(wanted.memory_swap));
    memory.set_kernel_tcp(positive(wanted.kernel_memory_tcp));
    memory.set_swappiness(wanted.memory_swappiness.and_then(|value| u64::try_from(value).ok()));
    memory.set_disable_oom_killer(wanted.oom_kill_disable.filter(|disable| *disable));
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(wanted: &Resources) -> Option<LinuxCpu> {
    let unsigned = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned(wanted.cpu_shares));
    if wanted.nano_cpus > 0 {
        let quota = i128::from(wanted.nano_cpus) * i128::from(CPU_PERIOD) / 1_000_000_000;
        cpu.set_period(Some(CPU_PERIOD));
        cpu.set_quota(i64::try_from(quota).ok());
    } else {
        cpu.set_period(unsigned(wanted.cpu_period));
        cpu.set_quota((wanted.cpu_quota != 0).then_some(wanted.cpu_quota));
    }
    cpu.set_realtime_period(unsigned(wanted.cpu_realtime_period));
    cpu.set_realtime_runtime(positive(wanted.cpu_realtime_runtime));
    cpu.set_cpus(text(&wanted.cpuset_cpus));
    cpu.set_mems(text(&wanted.cpuset_mems));
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn block_io(wanted: &Resources, devices: &BTreeMap<String, (i64, i64)>) -> Result<Option<LinuxBlockIo>> {
    let mut io = LinuxBlockIo::default();
    io.set_weight((wanted.blkio_weight > 0).then_some(wanted.blkio_weight));
    if !wanted.blkio_weight_device.is_empty() {
        let weights = wanted.blkio_weight_device.iter().map(|device| {
            let (major, minor) = numbers(&device.path, devices)?;
            built(LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(device.weight).build())
        });
        io.set_weight_device(Some(weights.collect::<Result<_>>()?));
    }
    io.set_throttle_read_bps_device(rates(&wanted.blkio_device_read_bps, devices)?);
    io.set_throttle_write_bps_device(rates(&wanted.blkio_device_write_bps, devices)?);
    io.set_throttle_read_iops_device(rates(&wanted.blkio_device_read_iops, devices)?);
    io.set_throttle_write_iops_device(rates(&wanted.blkio_device_write_iops, devices)?);
    Ok((io != LinuxBlockIo::default()).then_some(io))
}

fn rates(
    wanted: &[ThrottleDevice],
    devices: &BTreeMap<String, (i64, i64)>,
) -> Result<Option<Vec<LinuxThrottleDevice>>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let rates = wanted.iter().map(|device| {
        let (major, minor) = numbers(&device.path, devices)?;
        built(LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(device.rate).build())
    });
    rates.collect::<Result<Vec<_>>>().map(Some)
}

fn numbers(path: &str, devices: &BTreeMap<String, (i64, i64)>) -> Result<(i64, i64)> {
    devices.get(path).copied().ok_or_else(|| Error::bad_parameter(format!("{path}: not a block device")))
}
