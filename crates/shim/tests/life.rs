//! Create, start, signals, exits, and what outlives whom.

mod common;

use std::os::fd::AsFd;

use common::*;
use shim::protocol::*;

#[test]
fn runs_and_records_before_it_tells() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sh", "-c", "echo out; echo err >&2; exit 7"], false));
    let record = shim.control.exited();
    assert_eq!((record.code, record.signal, record.oom_killed), (7, None, false));
    assert_eq!(shim.record().as_ref(), Some(&record));
    let log = shim.log();
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    assert_eq!(shim.control.state().status, Status::Exited);
    shim.shutdown();
}

#[test]
fn a_signal_is_128_and_its_number() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    let state = shim.control.state();
    assert_eq!(state.status, Status::Running);
    assert!(state.pid.is_some() && state.started_at.is_some());
    shim.kill(9);
    let record = shim.control.exited();
    assert_eq!((record.code, record.signal), (137, Some(9)));
    shim.shutdown();
}

#[test]
fn what_can_not_run_is_told_apart() {
    for (program, kind) in [("/bin/nothing", ErrorKind::NotFound), ("/bin/text", ErrorKind::NotExecutable)] {
        let mut shim = Shim::spawn();
        let request = shim.request(&[program], false);
        let error = match shim.create(request) {
            Ok(_) => shim.start().unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(shim.control.state().status, Status::Empty);
        shim.shutdown();
    }
}

#[test]
fn survives_its_daemon_and_is_adopted() {
    let mut shim = Shim::spawn();
    let mut request = shim.request(&["sh", "-c", "echo one; cat; echo two"], false);
    request.open_stdin = true;
    request.stdin_once = true;
    let pid = shim.run(request);
    // the daemon dies
    let mut other = shim.connect();
    std::mem::swap(&mut shim.control, &mut other);
    drop(other);
    let hello = shim.control.hello();
    assert_eq!((hello.version, hello.state.status, hello.state.pid), (VERSION, Status::Running, Some(pid)));
    let client = shim.control.attach(everything());
    write(&client, b"typed\n");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let seen = demux(&drain(&client)).0;
    assert!(seen.ends_with(b"typed\ntwo\n"), "{seen:?}");
    assert_eq!(shim.control.exited().code, 0);
    assert_eq!(shim.log(), "one\ntyped\ntwo\n");
    shim.shutdown();
}

#[test]
fn ends_by_itself_when_nobody_is_left_to_tell() {
    let mut shim = Shim::spawn();
    let mut request = shim.request(&["sh", "-c", "read x; exit 3"], false);
    request.open_stdin = true;
    shim.run(request);
    let mut gone = Connection::over(pair().0);
    let client = shim.control.attach(everything());
    std::mem::swap(&mut shim.control, &mut gone);
    drop(gone);
    write(&client, b"\n");
    assert!(shim.child.wait().unwrap().success());
    assert_eq!(shim.record().unwrap().code, 3);
}

#[test]
fn a_shim_that_started_nothing_ends_with_its_daemon() {
    let mut shim = Shim::spawn();
    let request = shim.request(&["sleep", "1000"], false);
    let pid = shim.create(request).unwrap();
    let mut gone = Connection::over(pair().0);
    std::mem::swap(&mut shim.control, &mut gone);
    drop(gone);
    assert!(shim.child.wait().unwrap().success());
    assert!(!alive(pid));
    assert_eq!(shim.record(), None);
}

#[test]
fn an_unknown_request_is_refused_and_unknown_fields_are_ignored() {
    let mut shim = Shim::spawn();
    let (near, far) = pair();
    drop((near, far));
    let connection = shim.connect();
    drop(connection);
    let error = shim.control.call(Request::Start, &[]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidState);
    let error = shim
        .control
        .call(Request::Kill(KillRequest { exec_id: Some("x".into()), signal: 9, all: false }), &[]);
    assert_eq!(error.unwrap_err().kind, ErrorKind::NoSuchExec);
    let file = std::fs::File::open("/dev/null").unwrap();
    // a descriptor that nobody asked for does no harm
    shim.control.call(Request::State, &[file.as_fd()]).unwrap();
    shim.shutdown();
}

#[test]
fn shutdown_is_refused_while_the_container_runs() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    assert_eq!(shim.control.call(Request::Shutdown, &[]).unwrap_err().kind, ErrorKind::InvalidState);
    let Reply::Pids(pids) = shim.control.call(Request::Ps, &[]).unwrap() else { panic!() };
    assert_eq!(pids, [shim.control.state().pid.unwrap()]);
    shim.control.call(Request::Pause, &[]).unwrap();
    assert_eq!(shim.control.state().status, Status::Paused);
    shim.control.call(Request::Resume, &[]).unwrap();
    shim.kill(15);
    shim.kill(9);
    shim.control.exited();
    shim.shutdown();
}
