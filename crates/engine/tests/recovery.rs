//! The engine goes and comes back; shims are killed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that fails says where")]

mod common;

use common::{Bench, LIMIT};
use engine::container::{HostConfig, RestartPolicy, Status, WaitCondition};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_run_on_while_the_engine_is_away() {
    let bench = Bench::new().await;
    let id = bench.create(Bench::request("long", "sleep 100")).await;
    let short = bench.create(Bench::request("short", "sleep 0.2; exit 9")).await;
    bench.engine.container_start(&id).await.unwrap();
    bench.engine.container_start(&short).await.unwrap();
    let pid = bench.engine.container_inspect(&id).unwrap().state.pid();
    let engine = bench.engine.clone();
    engine.close().await;
    drop(engine);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let bench = bench.reopen().await;
    let container = bench.engine.container_inspect(&id).unwrap();
    assert_eq!((container.state.status(), container.state.pid()), (Status::Running, pid));
    let ended = bench.engine.container_inspect(&short).unwrap();
    assert_eq!((ended.state.status(), ended.state.exit_code()), (Status::Exited, 9));
    bench.engine.container_kill(&id, None).await.unwrap();
    assert_eq!(bench.engine.container_inspect(&id).unwrap().state.exit_code(), 137);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_shim_is_reported_and_leaves_no_orphan() {
    let bench = Bench::new().await;
    let id = bench.create(Bench::request("orphan", "sleep 100 & sleep 100")).await;
    bench.engine.container_start(&id).await.unwrap();
    let pid = bench.engine.container_inspect(&id).unwrap().state.pid();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let waiter = bench.engine.container_wait(&id, WaitCondition::NotRunning).await.unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(shim).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let end = tokio::time::timeout(LIMIT, waiter.done()).await.unwrap();
    assert_eq!(end.code, 137);
    assert!(end.error.unwrap().contains("shim"));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_restarted_as_often_as_the_policy_says() {
    let bench = Bench::new().await;
    let mut request = Bench::request("again", "echo run; exit 1");
    request.host = HostConfig { restart_policy: RestartPolicy::OnFailure(2), ..request.host };
    let id = bench.create(request).await;
    bench.engine.container_start(&id).await.unwrap();
    // as in Docker each end answers those who wait, whatever follows it
    while bench.engine.container_inspect(&id).unwrap().state.is_running() {
        let waiter = bench.engine.container_wait(&id, WaitCondition::NotRunning).await.unwrap();
        tokio::time::timeout(LIMIT, waiter.done()).await.unwrap();
    }
    assert_eq!(bench.engine.container_inspect(&id).unwrap().restart_count, 2);
    assert_eq!(bench.output(&id).await, "run\nrun\nrun\n");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_bridge_gives_an_address() {
    let bench = Bench::new().await;
    let mut request = Bench::request("net", "ip -4 addr show eth0; cat /etc/hosts; ip route");
    request.host.network_mode = String::new();
    let (id, end) = bench.run(request).await;
    let output = bench.output(&id).await;
    assert_eq!(end.code, 0, "{output}");
    assert!(output.contains("default via"), "{output}");
    assert!(output.contains(&id[..12]), "{output}");
    bench.finish().await;
}
