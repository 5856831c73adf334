//! Figures, not checks: `cargo bench -p shim` (as root).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the developer alone")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::*;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn spawn_create_start_exit() {
    let (mut spawned, mut started, mut ended, mut whole, mut work) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..40 {
        let mut shim = Shim::prepare();
        let begin = Instant::now();
        shim.launch();
        spawned.push(begin.elapsed());
        shim.control.post(shim::protocol::Request::Hello { version: 1 }, &[]);
        let create = shim.post_create(shim.request(&["true"], false));
        let start = shim.control.post(shim::protocol::Request::Start, &[]);
        shim.control.answer(create).unwrap();
        shim.control.answer(start).unwrap();
        started.push(begin.elapsed());
        shim.control.exited();
        ended.push(begin.elapsed());
        // what it took whatever else the machine was doing
        let schedule = fs::read_to_string(format!("/proc/{}/schedstat", shim.child.id())).unwrap();
        work.push(Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap()));
        shim.shutdown();
        whole.push(begin.elapsed());
    }
    println!("spawn returns        {:?}", median(spawned));
    println!("started              {:?}", median(started));
    println!("exit told            {:?}", median(ended));
    println!("shim on a processor   {:?}", median(work));
    println!("shim gone, cgroup gone {:?}", median(whole));
}

fn exec_true() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    let mut times = vec![];
    for n in 0..100 {
        let begin = Instant::now();
        let id = format!("e{n}");
        let client = shim.exec(&id, &["true"], false, true).unwrap();
        drain(&client);
        assert_eq!(shim.control.exec_exited(&id), 0);
        times.push(begin.elapsed());
    }
    println!("exec true            {:?}", median(times));
    shim.kill(9);
    shim.control.exited();
    shim.shutdown();
}

fn throughput() {
    let mut shim = Shim::spawn();
    let begin = Instant::now();
    shim.run(shim.request(
        &["sh", "-c", "yes 0123456789012345678901234567890123456789012345678901234567 | head -c 500000000"],
        false,
    ));
    shim.control.exited();
    println!("500 MB into the log  {:?}", begin.elapsed());
    shim.shutdown();
}

fn memory() {
    let mut shims: Vec<Shim> = (0..10).map(|_| Shim::spawn()).collect();
    for (n, shim) in shims.iter_mut().enumerate() {
        let terminal = n % 2 == 1;
        shim.run(shim.request(&["sleep", "1000"], terminal));
        let mut request = everything();
        request.stdin = false;
        drop(shim.control.attach(request));
        shim.control.state();
    }
    // the shims rest only after a while, and nothing tells when they do
    let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 3, tv_nsec: 0 });
    for shim in shims.iter().take(2) {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", shim.child.id())).unwrap();
        let wanted = ["Rss", "Pss:", "Pss_Anon", "Pss_File", "Private_Dirty"];
        let lines: Vec<_> = text.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))).collect();
        println!("{}", lines.join("; "));
    }
    if std::env::var_os("SMAPS").is_some() {
        println!("{}", fs::read_to_string(format!("/proc/{}/smaps", shims[0].child.id())).unwrap());
    }
    for shim in &mut shims {
        shim.kill(9);
        shim.control.exited();
        shim.shutdown();
    }
}

fn main() {
    spawn_create_start_exit();
    exec_true();
    throughput();
    memory();
}
