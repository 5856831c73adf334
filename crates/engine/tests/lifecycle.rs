//! Containers from birth to death.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that fails says where")]

mod common;

use common::{Bench, LIMIT};
use engine::Kind;
use engine::container::{RemoveOptions, Status, StopOptions, WaitCondition};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_runs_writes_and_ends() {
    let bench = Bench::new().await;
    let (id, end) = bench.run(Bench::request("first", "echo out; echo err >&2; exit 3")).await;
    assert_eq!((end.code, end.error), (3, None));
    assert_eq!(
        bench.output(&id).await.lines().collect::<std::collections::BTreeSet<_>>(),
        ["err", "out"].into()
    );
    let container = bench.engine.container_inspect("first").unwrap();
    assert_eq!(container.state.status(), Status::Exited);
    assert_eq!(bench.engine.container_inspect(&id[..12]).unwrap().id, id);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_unique_and_can_be_changed() {
    let bench = Bench::new().await;
    let id = bench.create(Bench::request("one", "true")).await;
    let error = bench.engine.container_create(Bench::request("one", "true")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&id));
    bench.engine.container_rename("one", "two").await.unwrap();
    assert_eq!(bench.engine.container_inspect("one").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(bench.engine.container_inspect("two").unwrap().id, id);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_kill_pause_and_remove_do_as_told() {
    let bench = Bench::new().await;
    let engine = &bench.engine;
    let id = bench.create(Bench::request("long", "trap 'exit 7' TERM; while :; do sleep 0.1; done")).await;
    engine.container_start(&id).await.unwrap();
    assert_eq!(engine.container_start(&id).await.unwrap_err().kind(), Kind::NotModified);
    engine.container_pause(&id).await.unwrap();
    assert_eq!(engine.container_inspect(&id).unwrap().state.status(), Status::Paused);
    assert_eq!(engine.container_pause(&id).await.unwrap_err().kind(), Kind::Conflict);
    engine.container_unpause(&id).await.unwrap();
    let error = engine.container_remove(&id, RemoveOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    tokio::time::timeout(LIMIT, engine.container_stop(&id, StopOptions::default())).await.unwrap().unwrap();
    assert_eq!(engine.container_inspect(&id).unwrap().state.exit_code(), 7);
    engine.container_start(&id).await.unwrap();
    engine.container_kill(&id, None).await.unwrap();
    assert_eq!(engine.container_inspect(&id).unwrap().state.exit_code(), 137);
    engine.container_start(&id).await.unwrap();
    let removed = engine.container_wait(&id, WaitCondition::Removed).await.unwrap();
    engine.container_remove(&id, RemoveOptions { force: true, ..Default::default() }).await.unwrap();
    tokio::time::timeout(LIMIT, removed.done()).await.unwrap();
    assert_eq!(engine.container_inspect(&id).unwrap_err().kind(), Kind::NotFound);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_start_leaves_nothing_and_tells_dockers_code() {
    let bench = Bench::new().await;
    for (program, code) in [("nosuchprogram", 127), ("/etc", 126)] {
        let mut request = Bench::request("", "");
        request.config.cmd = Some(vec![program.into()]);
        let id = bench.create(request).await;
        let error = bench.engine.container_start(&id).await.unwrap_err();
        println!("{error}");
        let container = bench.engine.container_inspect(&id).unwrap();
        assert_eq!(container.state.status(), Status::Created);
        assert_eq!(container.state.exit_code(), code, "{error}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn automatic_removal_removes() {
    let bench = Bench::new().await;
    let mut request = Bench::request("gone", "exit 4");
    request.host.auto_remove = true;
    let id = bench.create(request).await;
    let waiter = bench.engine.container_wait(&id, WaitCondition::Removed).await.unwrap();
    bench.engine.container_start(&id).await.unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, waiter.done()).await.unwrap().code, 4);
    assert!(bench.engine.container_inspect(&id).is_err());
    bench.finish().await;
}
