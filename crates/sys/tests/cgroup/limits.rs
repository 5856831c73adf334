use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::fd::AsFd;
use sys::cgroup::{
    BlockIo, Controller, Cpu, Cpuset, DeviceRate, Error, Host, Limit, Memory, Network, Settings, Version,
};
use sys::process::Exit;

use crate::{Scratch, worker};

const MIB: u64 = 1 << 20;

fn is_v2() -> bool {
    Host::get().unwrap().version() == Version::V2
}

fn has(controller: Controller) -> bool {
    let has = Host::get().unwrap().controllers().unwrap().has(controller);
    if !has {
        println!("    (this host has no {controller} controller)");
    }
    has
}

/// A control file's text: `v1` in the hierarchy of `controller`, `v2` in the unified one.
fn file(cgroup: &Scratch, controller: Controller, v1: &str, v2: &str) -> String {
    let host = Host::get().unwrap();
    let (mount, name) = match host.hierarchy(controller) {
        Some(hierarchy) if !is_v2() => (&hierarchy.mount, v1),
        _ => (host.unified.as_ref().unwrap(), v2),
    };
    let path = mount.join(cgroup.path().relative()).join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|err| panic!("{}: {err}", path.display()))
        .trim_end()
        .to_owned()
}

pub(crate) fn cpu() {
    if !has(Controller::Cpu) || !has(Controller::Cpuset) {
        return;
    }
    let cgroup = Scratch::new("cpu");
    let cpu =
        Cpu { shares: Some(512), quota: Some(Limit::At(50_000)), period: Some(100_000), ..Cpu::default() };
    let cpuset = Cpuset { cpus: Some("0".to_owned()), mems: Some("0".to_owned()) };
    cgroup.apply(&Settings { cpu, cpuset, ..Settings::default() }).unwrap();
    let read = |v1, v2| file(&cgroup, Controller::Cpu, v1, v2);
    assert_eq!(read("cpu.shares", "cpu.weight"), if is_v2() { "59" } else { "512" });
    assert_eq!(read("cpu.cfs_quota_us", "cpu.max"), if is_v2() { "50000 100000" } else { "50000" });
    assert_eq!(file(&cgroup, Controller::Cpuset, "cpuset.cpus", "cpuset.cpus"), "0");

    let set = |cpu: Cpu| cgroup.apply(&Settings { cpu, ..Settings::default() });
    set(Cpu { period: Some(10_000), ..Cpu::default() }).unwrap();
    set(Cpu { quota: Some(Limit::At(5_000)), burst: Some(4_000), ..Cpu::default() }).unwrap();
    set(Cpu { quota: Some(Limit::At(2_000)), burst: Some(1_000), ..Cpu::default() })
        .expect("burst goes down first");
    set(Cpu { quota: Some(Limit::At(9_000)), burst: Some(8_000), ..Cpu::default() })
        .expect("burst goes up last");
    set(Cpu { quota: Some(Limit::Max), period: Some(100_000), burst: Some(0), ..Cpu::default() }).unwrap();
    assert_eq!(read("cpu.cfs_quota_us", "cpu.max"), if is_v2() { "max 100000" } else { "-1" });
}

pub(crate) fn memory() {
    if !has(Controller::Memory) {
        return;
    }
    let cgroup = Scratch::new("memory");
    let set = |limit: Limit, swap: Limit| {
        let memory = Memory { limit: Some(limit), swap: Some(swap), ..Memory::default() };
        cgroup.apply(&Settings { memory, ..Settings::default() })
    };
    // Down and up in both orders: each is refused by the kernel when written the wrong way round.
    for (limit, sum) in [(64, 128), (32, 32), (256, 256), (16, 300), (200, 200)] {
        set(Limit::At(limit * MIB), Limit::At(sum * MIB)).unwrap();
        let stats = cgroup.stats().unwrap().memory;
        assert_eq!(stats.limit, Some(limit * MIB));
        if let Some(swap) = stats.swap {
            let counted = if stats.swap_is_sum { sum } else { sum - limit };
            assert_eq!(swap.limit, Some(counted * MIB));
        }
    }
    set(Limit::Max, Limit::Max).unwrap();
    assert_eq!(cgroup.stats().unwrap().memory.limit, None);

    let memory = Memory { reservation: Some(Limit::At(MIB)), ..Memory::default() };
    cgroup.apply(&Settings { memory, ..Settings::default() }).unwrap();
    let soft = file(&cgroup, Controller::Memory, "memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(soft, MIB.to_string());

    let (done, stop) = rustix::pipe::pipe().unwrap();
    let (full, tell) = rustix::pipe::pipe().unwrap();
    let child = worker::start(&cgroup, || {
        let memory = vec![1_u8; 32 << 20];
        rustix::io::write(&tell, b"f").unwrap();
        rustix::io::read(&done, &mut [0]).unwrap();
        i32::from(std::hint::black_box(&memory)[0]) - 1
    });
    rustix::io::read(&full, &mut [0]).unwrap();
    let memory = Memory { limit: Some(Limit::At(8 * MIB)), check_before_update: true, ..Memory::default() };
    let refused = cgroup.apply(&Settings { memory, ..Settings::default() }).unwrap_err();
    assert!(matches!(refused, Error::MemoryInUse { .. }), "{refused}");
    rustix::io::write(&stop, b"s").unwrap();
    assert_eq!(worker::end(&child), Exit::Code(0));
}

pub(crate) fn pids() {
    if !has(Controller::Pids) {
        return;
    }
    let cgroup = Scratch::new("pids");
    cgroup.apply(&Settings { pids: Some(Limit::At(1)), ..Settings::default() }).unwrap();
    let child = worker::start(&cgroup, worker::fork_one);
    assert_eq!(worker::end(&child), Exit::Code(sys::Errno::AGAIN.raw_os_error()));
    assert_eq!(cgroup.stats().unwrap().pids.limit, Some(1));
    cgroup.apply(&Settings { pids: Some(Limit::Max), ..Settings::default() }).unwrap();
    assert_eq!(cgroup.stats().unwrap().pids.limit, None);
}

pub(crate) fn block_io() {
    if !has(if is_v2() { Controller::Io } else { Controller::Blkio }) {
        return;
    }
    let Some(device) = first_disk() else { return println!("    (this host has no disk)") };
    let cgroup = Scratch::new("io");
    let rates = |rate| vec![DeviceRate { device, rate }];
    let block_io = BlockIo {
        read_bps: rates(MIB),
        write_bps: rates(2 * MIB),
        write_iops: rates(50),
        ..BlockIo::default()
    };
    cgroup.apply(&Settings { block_io, ..Settings::default() }).unwrap();
    let (major, minor) = device;
    let text = file(&cgroup, Controller::Blkio, "blkio.throttle.write_bps_device", "io.max");
    let want = if is_v2() {
        format!("{major}:{minor} rbps=1048576 wbps=2097152 riops=max wiops=50")
    } else {
        format!("{major}:{minor} 2097152")
    };
    assert_eq!(text, want);
    let weights = BlockIo { weight: Some(500), ..BlockIo::default() };
    match cgroup.apply(&Settings { block_io: weights, ..Settings::default() }) {
        Err(err @ Error::Unsupported { .. }) => println!("    ({err})"),
        applied => {
            applied.unwrap();
            let weight = file(&cgroup, Controller::Blkio, "blkio.bfq.weight", "io.weight");
            assert_eq!(weight.lines().next(), Some(if is_v2() { "default 4950" } else { "500" }));
        }
    }
    let off = BlockIo { read_bps: rates(0), write_bps: rates(0), write_iops: rates(0), ..BlockIo::default() };
    cgroup.apply(&Settings { block_io: off, ..Settings::default() }).unwrap();
    assert_eq!(file(&cgroup, Controller::Blkio, "blkio.throttle.write_bps_device", "io.max"), "");
}

fn first_disk() -> Option<(u32, u32)> {
    let mut entries = std::fs::read_dir("/sys/block").ok()?;
    let disk = entries.find_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("dev")).ok())?;
    let (major, minor) = disk.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(crate) fn huge_pages_and_network() {
    let cgroup = Scratch::new("huge");
    if has(Controller::Hugetlb) {
        let hugepages = vec![("2MB".to_owned(), 4 * MIB)];
        cgroup.apply(&Settings { hugepages, ..Settings::default() }).unwrap();
        let read = file(&cgroup, Controller::Hugetlb, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
        assert_eq!(read, (4 * MIB).to_string());
        assert_eq!(cgroup.stats().unwrap().hugepages["2MB"].usage, 0);
    }
    if has(Controller::NetCls) && has(Controller::NetPrio) {
        let network = Network { class_id: Some(0x10_0001), priorities: vec![("lo".to_owned(), 5)] };
        cgroup.apply(&Settings { network, ..Settings::default() }).unwrap();
        assert_eq!(file(&cgroup, Controller::NetCls, "net_cls.classid", ""), "1048577");
        assert!(file(&cgroup, Controller::NetPrio, "net_prio.ifpriomap", "").contains("lo 5"));
    }
}

pub(crate) fn out_of_memory() {
    if !has(Controller::Memory) {
        return;
    }
    let cgroup = Scratch::new("oom");
    let memory =
        Memory { limit: Some(Limit::At(16 * MIB)), swap: Some(Limit::At(16 * MIB)), ..Memory::default() };
    cgroup.apply(&Settings { memory, ..Settings::default() }).unwrap();
    let mut watch = cgroup.oom_events().unwrap();
    assert!(!event_within(&watch, 0), "nothing has happened yet");
    let child = worker::start(&cgroup, || worker::eat(64 << 20));
    assert!(event_within(&watch, 10), "the event comes");
    assert!(matches!(worker::end(&child), Exit::Signal { signal, .. } if signal.number() == 9));
    let mut kills = 0;
    while kills == 0 && event_within(&watch, 5) {
        kills += watch.take().unwrap();
    }
    kills += watch.take().unwrap();
    assert_eq!(kills, 1);
    assert_eq!(watch.take().unwrap(), 0, "told once");
    assert_eq!(cgroup.stats().unwrap().memory.oom_kills, 1);
}

/// By epoll, as the shim does it.
fn event_within(watch: &sys::cgroup::OomWatch, seconds: i64) -> bool {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&set, watch, epoll::EventData::new_u64(1), watch.interest()).unwrap();
    let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
    rustix::event::poll(&mut [PollFd::new(&set.as_fd(), PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

pub(crate) fn missing_is_named() {
    let cgroup = Scratch::new("missing");
    let host = Host::get().unwrap().controllers().unwrap();
    let network = Network { class_id: Some(7), ..Network::default() };
    let applied = cgroup.apply(&Settings { network, ..Settings::default() });
    if !host.has(Controller::NetCls) {
        let err = applied.unwrap_err().to_string();
        assert!(err.contains("net_cls") || err.contains("network class"), "{err}");
    }
    let unified = [("memory.high".to_owned(), "1048576".to_owned())].into();
    let applied = cgroup.apply(&Settings { unified, ..Settings::default() });
    assert_eq!(applied.is_ok(), is_v2() && host.has(Controller::Memory));
    for name in ["../cgroup.procs", "cgroup.procs", "cgroup.kill", "nonsense", "x.y"] {
        let unified = [(name.to_owned(), "0".to_owned())].into();
        let refused = cgroup.apply(&Settings { unified, ..Settings::default() });
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{name}: {refused:?}");
    }
}

pub(crate) fn statistics() {
    let cgroup = Scratch::new("stats");
    let (done, stop) = rustix::pipe::pipe().unwrap();
    let (full, tell) = rustix::pipe::pipe().unwrap();
    let child = worker::start(&cgroup, || {
        let memory = vec![1_u8; 32 << 20];
        let work = (0..20_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        rustix::io::write(&tell, b"f").unwrap();
        rustix::io::read(&done, &mut [0]).unwrap();
        i32::from(std::hint::black_box(&memory)[0]) - 1 + i32::from(work == 1)
    });
    rustix::io::read(&full, &mut [0]).unwrap();
    let stats = cgroup.stats().unwrap();
    rustix::io::write(&stop, b"s").unwrap();
    worker::end(&child);
    assert!(stats.cpu.usage > 1_000_000, "{:?}", stats.cpu);
    assert!(stats.cpu.usage >= stats.cpu.user.max(stats.cpu.kernel) / 2);
    if !is_v2() {
        assert!(!stats.cpu.per_cpu.is_empty());
    }
    if has(Controller::Memory) {
        assert!(stats.memory.usage >= 32 * MIB, "{:?}", stats.memory);
        assert!(stats.memory.detail.contains_key("pgfault"));
        assert_eq!(stats.memory.oom_kills, 0);
    }
    if has(Controller::Pids) {
        assert_eq!(stats.pids.current, 1);
    }
}
