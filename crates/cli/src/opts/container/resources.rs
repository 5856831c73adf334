//! Limits: processors, memory, block devices, processes, devices.

use api::container::{
    DeviceMapping, DeviceRequest, HostConfig, Resources, ThrottleDevice, Ulimit, WeightDevice,
};

use super::refuse;
use crate::error::Result;
use crate::flag::{Flag, Matches, check};
use crate::opts::kv;

pub(crate) const FLAGS: &[Flag] = &[
    BLKIO_WEIGHT,
    Flag::list("blkio-weight-device", "Weight of block I/O on one device")
        .shows("[]")
        .check(|text| weight(text).map(drop)),
    Flag::int("cpu-count", "Number of CPUs (Windows only)"),
    Flag::int("cpu-percent", "Percentage of CPUs (Windows only)"),
    CPU_PERIOD,
    CPU_QUOTA,
    CPU_RT_PERIOD,
    CPU_RT_RUNTIME,
    CPU_SHARES,
    CPUS,
    CPUSET_CPUS,
    CPUSET_MEMS,
    Flag::list("device", "Give the container a device of the host"),
    Flag::list("device-cgroup-rule", "Add a rule to the devices it may use").check(device_rule),
    Flag::list("device-read-bps", "Limit bytes read per second from a device")
        .shows("[]")
        .check(|text| bytes_rate(text).map(drop)),
    Flag::list("device-read-iops", "Limit reads per second from a device")
        .shows("[]")
        .check(|text| count_rate(text).map(drop)),
    Flag::list("device-write-bps", "Limit bytes written per second to a device")
        .shows("[]")
        .check(|text| bytes_rate(text).map(drop)),
    Flag::list("device-write-iops", "Limit writes per second to a device")
        .shows("[]")
        .check(|text| count_rate(text).map(drop)),
    Flag::list("gpus", "Give the container GPUs ('all' for all of them)")
        .ty("gpu-request")
        .check(|text| gpus(text).map(drop)),
    Flag::bytes("io-maxbandwidth", "Bandwidth of the system drive (Windows only)"),
    Flag::int("io-maxiops", "I/O operations of the system drive (Windows only)")
        .ty("uint")
        .check(check::uint64),
    Flag::bytes("kernel-memory", "Limit of kernel memory").hidden(),
    MEMORY,
    MEMORY_RESERVATION,
    MEMORY_SWAP,
    Flag::int("memory-swappiness", "How readily memory is swapped (0 to 100)").default("-1"),
    Flag::bool("oom-kill-disable", "Let the container wait instead of killing it when memory runs out"),
    Flag::int("oom-score-adj", "Preference of the OOM killer (-1000 to 1000)"),
    PIDS_LIMIT,
    Flag::bytes("shm-size", "Size of /dev/shm"),
    Flag::list("ulimit", "Set a resource limit of processes")
        .ty("ulimit")
        .shows("[]")
        .check(|text| ulimit(text).map(drop)),
];

const BLKIO_WEIGHT: Flag = Flag::int("blkio-weight", "Weight of block I/O, 10 to 1000, or 0 for none")
    .ty("uint16")
    .shows("0")
    .check(check::uint16);
const CPU_PERIOD: Flag = Flag::int("cpu-period", "Period of the CPU quota, in microseconds");
const CPU_QUOTA: Flag = Flag::int("cpu-quota", "CPU time in each period, in microseconds");
const CPU_RT_PERIOD: Flag = Flag::int("cpu-rt-period", "Period of real-time CPU time, in microseconds");
const CPU_RT_RUNTIME: Flag =
    Flag::int("cpu-rt-runtime", "Real-time CPU time in each period, in microseconds");
const CPU_SHARES: Flag = Flag::int("cpu-shares", "Weight of CPU time").short('c');
const CPUS: Flag = Flag::string("cpus", "Number of CPUs").ty("decimal").check(check::cpus);
const CPUSET_CPUS: Flag = Flag::string("cpuset-cpus", "CPUs to run on (0-3, 0,1)");
const CPUSET_MEMS: Flag = Flag::string("cpuset-mems", "Memory nodes to use (0-3, 0,1)");
const MEMORY: Flag = Flag::bytes("memory", "Limit of memory").short('m');
const MEMORY_RESERVATION: Flag = Flag::bytes("memory-reservation", "Soft limit of memory");
const MEMORY_SWAP: Flag =
    Flag::bytes("memory-swap", "Limit of memory and swap together; '-1' for no limit of swap")
        .check(check::swap);
const PIDS_LIMIT: Flag = Flag::int("pids-limit", "Limit of processes ('-1' for none)");

/// Those that `update` has too.
pub(crate) const UPDATABLE: &[Flag] = &[
    BLKIO_WEIGHT,
    CPU_PERIOD,
    CPU_QUOTA,
    CPU_RT_PERIOD,
    CPU_RT_RUNTIME,
    CPU_SHARES,
    CPUS,
    CPUSET_CPUS,
    CPUSET_MEMS,
    Flag::bytes("kernel-memory", "Limit of kernel memory").hidden(),
    MEMORY,
    MEMORY_RESERVATION,
    MEMORY_SWAP,
    PIDS_LIMIT,
];

/// Sets what both `run` and `update` can set.
pub(crate) fn apply_updatable(matches: &Matches, limits: &mut Resources) -> Result<()> {
    let int = |name| matches.int(name).unwrap_or(0);
    let bytes = |name| matches.given(name).and_then(|text| check::parse_bytes(text).ok()).unwrap_or(0);
    limits.blkio_weight = matches
        .given("blkio-weight")
        .and_then(|text| check::parse_uint(text, u64::from(u16::MAX)).ok())
        .and_then(|weight| u16::try_from(weight).ok())
        .unwrap_or(0);
    limits.cpu_period = int("cpu-period");
    limits.cpu_quota = int("cpu-quota");
    limits.cpu_realtime_period = int("cpu-rt-period");
    limits.cpu_realtime_runtime = int("cpu-rt-runtime");
    limits.cpu_shares = int("cpu-shares");
    limits.nano_cpus = matches.given("cpus").and_then(|text| check::parse_cpus(text).ok()).unwrap_or(0);
    matches.get("cpuset-cpus").clone_into(&mut limits.cpuset_cpus);
    matches.get("cpuset-mems").clone_into(&mut limits.cpuset_mems);
    limits.kernel_memory = matches.given("kernel-memory").and_then(|text| check::parse_bytes(text).ok());
    limits.memory = bytes("memory");
    limits.memory_reservation = bytes("memory-reservation");
    limits.memory_swap =
        matches.given("memory-swap").and_then(|text| check::parse_swap(text).ok()).unwrap_or(0);
    limits.pids_limit = matches.int("pids-limit");
    Ok(())
}

pub(super) fn apply(matches: &Matches, limits: &mut Resources) -> Result<()> {
    apply_updatable(matches, limits)?;
    let swappiness = matches.int("memory-swappiness").unwrap_or(-1);
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return refuse(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    limits.memory_swappiness = (swappiness != -1).then_some(swappiness);
    // Said in any case, as Docker's client does: it is what `inspect` shows.
    limits.oom_kill_disable = Some(matches.bool("oom-kill-disable"));
    limits.cpu_count = matches.int("cpu-count").unwrap_or(0);
    limits.cpu_percent = matches.int("cpu-percent").unwrap_or(0);
    limits.io_maximum_iops =
        matches.given("io-maxiops").and_then(|text| check::parse_uint(text, u64::MAX).ok()).unwrap_or(0);
    limits.io_maximum_bandwidth = matches
        .given("io-maxbandwidth")
        .and_then(|text| check::parse_bytes(text).ok())
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(0);
    let rates = |name, parse: fn(&str) -> Result<ThrottleDevice, String>| -> Vec<ThrottleDevice> {
        matches.all(name).iter().filter_map(|text| parse(text).ok()).collect()
    };
    limits.blkio_device_read_bps = rates("device-read-bps", bytes_rate);
    limits.blkio_device_write_bps = rates("device-write-bps", bytes_rate);
    limits.blkio_device_read_iops = rates("device-read-iops", count_rate);
    limits.blkio_device_write_iops = rates("device-write-iops", count_rate);
    limits.blkio_weight_device =
        matches.all("blkio-weight-device").iter().filter_map(|text| weight(text).ok()).collect();
    limits.ulimits = matches.all("ulimit").iter().filter_map(|text| ulimit(text).ok()).collect();
    limits.device_cgroup_rules = matches.list("device-cgroup-rule");
    limits.device_requests = matches.all("gpus").iter().filter_map(|text| gpus(text).ok()).collect();
    for text in matches.all("device") {
        match text.split_once('=') {
            Some((kind, _)) if kind.contains('/') && !kind.starts_with('/') => {
                limits.device_requests.push(DeviceRequest {
                    driver: "cdi".into(),
                    device_ids: vec![text.into()],
                    ..Default::default()
                })
            }
            _ => limits.devices.push(device(text)?),
        }
    }
    Ok(())
}

/// What the API counts as the host's, not among the limits.
pub(super) fn apply_host(matches: &Matches, host: &mut HostConfig) {
    host.oom_score_adj = matches.int("oom-score-adj").unwrap_or(0);
    host.shm_size = matches.given("shm-size").and_then(|text| check::parse_bytes(text).ok()).unwrap_or(0);
}

/// `HOST[:CONTAINER][:rwm]`
fn device(text: &str) -> Result<DeviceMapping> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_mode = |part: &str| {
        let only = part.chars().all(|letter| "rwm".contains(letter) && part.matches(letter).count() == 1);
        !part.is_empty() && only
    };
    let (host, container, mode) = match parts[..] {
        ["", ..] => return refuse(format!("bad format for path: {text}")),
        [host] => (host, host, "rwm"),
        [host, mode] if is_mode(mode) => (host, host, mode),
        [host, container] => (host, container, "rwm"),
        [_, _, mode] if !is_mode(mode) => return refuse(format!("bad mode specified: {mode}")),
        [host, container, mode] => (host, container, mode),
        _ => return refuse(format!("bad format for path: {text}")),
    };
    if !container.starts_with('/') {
        return refuse(format!("{container} is not an absolute path"));
    }
    Ok(DeviceMapping {
        path_on_host: host.into(),
        path_in_container: container.into(),
        cgroup_permissions: mode.into(),
    })
}

/// `c 1:3 rwm`
fn device_rule(text: &str) -> Result<(), String> {
    let number = |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = text.split(' ').collect();
    let fits = match words[..] {
        [kind, numbers, mode] => {
            ["a", "b", "c"].contains(&kind)
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&mode.len())
                && mode.chars().all(|c| "rwm".contains(c))
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

fn device_and(text: &str) -> Result<(&str, &str), String> {
    let (path, value) = text.split_once(':').ok_or_else(|| format!("bad format: {text}"))?;
    if path.is_empty() || value.is_empty() {
        return Err(format!("bad format: {text}"));
    }
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

fn weight(text: &str) -> Result<WeightDevice, String> {
    let (path, value) = device_and(text)?;
    let weight: u16 = value.parse().map_err(|_error| format!("invalid weight for device: {text}"))?;
    if weight > 0 && !(10..=1000).contains(&weight) {
        return Err(format!("invalid weight for device: {text}"));
    }
    Ok(WeightDevice { path: path.into(), weight })
}

fn bytes_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device_and(text)?;
    let rate = check::parse_bytes(value).ok().and_then(|rate| u64::try_from(rate).ok()).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok(ThrottleDevice { path: path.into(), rate })
}

fn count_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device_and(text)?;
    let rate = value.parse().map_err(|_error| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })?;
    Ok(ThrottleDevice { path: path.into(), rate })
}

/// Limits that the kernel knows, as `setrlimit` calls them.
const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// `NAME=SOFT[:HARD]`, -1 for no limit.
fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, values) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !ULIMITS.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| {
        text.parse::<i64>().map_err(|_error| format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
    };
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    if hard != -1 && (soft > hard || soft == -1) {
        let (soft, hard) = (limit_name(soft), limit_name(hard));
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.into(), soft, hard })
}

fn limit_name(limit: i64) -> String {
    if limit == -1 { "-1 (unlimited)".to_owned() } else { limit.to_string() }
}

/// `all`, a number, or `device=0,1` and other keys.
fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest::default();
    let mut capabilities = vec!["gpu".to_owned()];
    for field in kv::csv(text)? {
        let (key, value) = field.split_once('=').unwrap_or(("count", &field));
        match key {
            "count" if value == "all" => request.count = -1,
            "count" => {
                request.count = value.parse().map_err(|_error| {
                    format!("invalid count ({value}): value must be either \"all\" or an integer")
                })?;
            }
            "driver" => request.driver = value.to_owned(),
            "device" => request.device_ids = value.split(',').map(str::to_owned).collect(),
            "capabilities" => capabilities.extend(value.split(',').map(str::to_owned)),
            "options" => request.options = kv::map(&value.split(',').collect::<Vec<_>>()),
            other => return Err(format!("unexpected key '{other}' in '{field}'")),
        }
    }
    if request.device_ids.is_empty() && request.count == 0 {
        request.count = 1;
    }
    request.capabilities = vec![capabilities];
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;
    use super::*;

    fn limits(words: &[&str]) -> Result<Resources, String> {
        plan(words).map(|request| request.host_config.resources)
    }

    #[test]
    fn memory_and_cpus() {
        let got = limits(&["-m", "64m", "--memory-swap=-1", "--cpus", "1.5", "--pids-limit", "-1"]).unwrap();
        assert_eq!((got.memory, got.memory_swap, got.nano_cpus), (64 << 20, -1, 1_500_000_000));
        assert_eq!((got.pids_limit, got.memory_swappiness), (Some(-1), None));
        let wrong = limits(&["--memory-swappiness", "200"]).unwrap_err();
        assert_eq!(wrong, "invalid value: 200. Valid memory swappiness range is 0-100");
    }

    #[test]
    fn devices() {
        let of = |text| device(text).map(|d| (d.path_on_host, d.path_in_container, d.cgroup_permissions));
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(of("/dev/a").unwrap(), own("/dev/a", "/dev/a", "rwm"));
        assert_eq!(of("/dev/a:r").unwrap(), own("/dev/a", "/dev/a", "r"));
        assert_eq!(of("/dev/a:/dev/b:rw").unwrap(), own("/dev/a", "/dev/b", "rw"));
        for (wrong, why) in [
            ("a:b:c:d", "bad format for path: a:b:c:d"),
            ("", "bad format for path: "),
            ("/dev/a:rr", "rr is not an absolute path"),
            ("/dev/a:b:x", "bad mode specified: x"),
        ] {
            assert_eq!(device(wrong).unwrap_err().to_string(), why);
        }
        assert!(device_rule("c 1:* rwm").is_ok() && device_rule("foo").is_err());
        assert_eq!(limits(&["--device", "nvidia.com/gpu=0"]).unwrap().device_requests[0].driver, "cdi");
    }

    #[test]
    fn rates_and_weights() {
        let read = limits(&["--device-read-bps", "/dev/sda:1mb"]).unwrap().blkio_device_read_bps;
        assert_eq!((read[0].path.as_str(), read[0].rate), ("/dev/sda", 1 << 20));
        assert!(limits(&["--device-read-bps", "foo"]).unwrap_err().ends_with("bad format: foo"));
        assert!(limits(&["--blkio-weight-device", "/dev/sda:5"]).is_err());
    }

    #[test]
    fn ulimits() {
        let got = ulimit("nofile=10:20").unwrap();
        assert_eq!((got.soft, got.hard), (10, 20));
        assert_eq!(ulimit("foo").unwrap_err(), "invalid ulimit argument: foo");
        assert_eq!(ulimit("x=1").unwrap_err(), "invalid ulimit type: x");
        assert!(ulimit("nofile=2:1").is_err() && ulimit("core=-1").is_ok());
    }

    #[test]
    fn gpu_requests() {
        assert_eq!(gpus("all").unwrap().count, -1);
        assert_eq!(gpus("\"device=0,1\"").unwrap().device_ids, ["0", "1"]);
        assert_eq!(gpus("foo=x").unwrap_err(), "unexpected key 'foo' in 'foo=x'");
    }
}
