//! Attached clients, exec sessions, followed logs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that fails says where")]

mod common;

use common::{Bench, LIMIT};
use engine::container::{
    AttachOptions, Attached, ExecConfig, ExecStart, ExecStarted, LogsOptions, Source, WaitCondition,
};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

async fn read(attached: &mut Attached) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    while let Some(chunk) = tokio::time::timeout(LIMIT, attached.output.next()).await.unwrap() {
        let chunk = chunk.unwrap();
        let text = String::from_utf8_lossy(&chunk.data).into_owned();
        match chunk.source {
            Source::Stdout => out.push_str(&text),
            Source::Stderr => err.push_str(&text),
        }
    }
    (out, err)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_attached_before_the_start_sees_every_byte() {
    let bench = Bench::new().await;
    let mut request = Bench::request("cat", "cat; echo done >&2");
    request.config.open_stdin = true;
    request.config.stdin_once = true;
    request.host.auto_remove = true;
    let id = bench.create(request).await;
    let options =
        AttachOptions { stream: true, stdin: true, stdout: true, stderr: true, ..Default::default() };
    let mut attached = bench.engine.container_attach(&id, options).await.unwrap();
    let waiter = bench.engine.container_wait(&id, WaitCondition::Removed).await.unwrap();
    bench.engine.container_start(&id).await.unwrap();
    let mut input = attached.input.take().unwrap();
    input.write_all(b"hello\n").await.unwrap();
    input.shutdown().await.unwrap();
    assert_eq!(read(&mut attached).await, ("hello\n".into(), "done\n".into()));
    assert_eq!(tokio::time::timeout(LIMIT, waiter.done()).await.unwrap().code, 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_sessions_run_in_the_container() {
    let bench = Bench::new().await;
    let engine = &bench.engine;
    let id = bench.create(Bench::request("host", "sleep 100")).await;
    engine.container_start(&id).await.unwrap();
    let config = ExecConfig {
        cmd: ["sh", "-c", "echo $0 $A; id -u; hostname; exit 5"].map(str::to_owned).to_vec(),
        env: vec!["A=b".into()],
        user: "65534".into(),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecConfig::default()
    };
    let exec = engine.exec_create(&id, config.clone()).await.unwrap();
    let ExecStarted::Attached(mut attached) = engine.exec_start(&exec, ExecStart::default()).await.unwrap()
    else {
        panic!("attached");
    };
    let (out, err) = read(&mut attached).await;
    assert_eq!((out.as_str(), err.as_str()), (format!("sh b\n65534\n{}\n", &id[..12]).as_str(), ""));
    while engine.exec_inspect(&exec).unwrap().running {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(engine.exec_inspect(&exec).unwrap().exit_code, Some(5));
    assert!(engine.exec_start(&exec, ExecStart::default()).await.is_err());
    let missing = ExecConfig { cmd: vec!["nosuchprogram".into()], ..config };
    let exec = engine.exec_create(&id, missing).await.unwrap();
    let error = engine.exec_start(&exec, ExecStart::default()).await.err().unwrap();
    assert!(error.to_string().contains("executable file not found"), "{error}");
    assert_eq!(engine.exec_inspect(&exec).unwrap().exit_code, Some(127));
    let top = engine.container_top(&id, "-o pid,args").await.unwrap();
    assert_eq!(top.titles, ["PID", "COMMAND"]);
    assert_eq!(top.processes.len(), 1);
    assert_eq!(top.processes[0][1], "sleep 100");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followed_logs_end_with_the_container() {
    let bench = Bench::new().await;
    let id = bench.create(Bench::request("log", "echo one; sleep 0.3; echo two")).await;
    bench.engine.container_start(&id).await.unwrap();
    let wanted = LogsOptions { follow: true, stdout: true, ..Default::default() };
    let mut entries = bench.engine.container_logs(&id, wanted).await.unwrap().entries;
    let mut lines = Vec::new();
    while let Some(entry) = tokio::time::timeout(LIMIT, entries.next()).await.unwrap() {
        lines.extend(entry.unwrap().iter().map(|entry| String::from_utf8_lossy(&entry.data).into_owned()));
    }
    assert_eq!(lines, ["one\n", "two\n"]);
    bench.finish().await;
}
