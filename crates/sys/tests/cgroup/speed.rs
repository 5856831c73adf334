use std::time::{Duration, Instant};

use sys::cgroup::{Cgroup, Cpu, DeviceAccess, DeviceKind, DeviceRule, Driver, Limit, Memory, Settings};

use crate::{parent, worker};

const ROUNDS: usize = 40;

/// The median of each step, to be read: a machine that is busy makes any bound a lie.
pub(crate) fn create_and_remove() {
    let mut times: [Vec<Duration>; 4] = Default::default();
    let settings = settings();
    for round in 0..ROUNDS {
        let path = parent().join(&format!("speed-{round}")).unwrap();
        let begin = Instant::now();
        let cgroup = Cgroup::create(&path, &Driver::Cgroupfs).unwrap();
        times[0].push(begin.elapsed());
        let begin = Instant::now();
        cgroup.apply(&settings).unwrap();
        times[1].push(begin.elapsed());
        let begin = Instant::now();
        let child = worker::start(&cgroup, || 0);
        worker::end(&child);
        times[2].push(begin.elapsed());
        let begin = Instant::now();
        cgroup.remove().unwrap();
        times[3].push(begin.elapsed());
    }
    for (name, times) in ["create", "apply", "process in and out", "remove"].iter().zip(&mut times) {
        times.sort_unstable();
        let median = times[ROUNDS / 2];
        println!("    {name}: median {median:?}, worst {:?}", times[ROUNDS - 1]);
    }
}

/// What a container with memory, processor and process limits gets.
fn settings() -> Settings {
    let node = |minor| DeviceRule {
        allow: true,
        kind: DeviceKind::Char,
        major: Some(1),
        minor: Some(minor),
        access: DeviceAccess::ALL,
    };
    Settings {
        cpu: Cpu { shares: Some(512), quota: Some(Limit::At(50_000)), ..Cpu::default() },
        memory: Memory {
            limit: Some(Limit::At(64 << 20)),
            swap: Some(Limit::At(64 << 20)),
            ..Memory::default()
        },
        devices: Some([3, 5, 7, 8, 9].map(node).to_vec()),
        ..Settings::default()
    }
}
