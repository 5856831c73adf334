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

#[test]
fn a_killed_shim_takes_its_container_with_it() {
    let mut shim = Shim::spawn();
    let pid = shim.run(shim.request(&["sleep", "1000"], false));
    shim.exec("e", &["sleep", "1001"], false, false).unwrap();
    let exec = shim.control.state().execs[0].pid;
    shim.child.kill().unwrap();
    shim.child.wait().unwrap();
    assert!(shim.control.receive().is_none());
    for pid in [pid, exec] {
        let Some(pidfd) =
            rustix::process::Pid::from_raw(pid).and_then(|pid| sys::process::pidfd_open(pid).ok())
        else {
            continue;
        };
        let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1, "process {pid} lives on");
    }
    assert_eq!(shim.record(), None);
}

#[test]
fn an_out_of_memory_kill_is_told_and_recorded() {
    let mut shim = Shim::spawn();
    let mut request = shim.request(&["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"], false);
    let resources = serde_json::json!({ "memory": { "limit": 32 << 20 } });
    let resources = serde_json::from_value(resources).unwrap();
    request.spec.linux_mut().as_mut().unwrap().set_resources(Some(resources));
    shim.run(request);
    let record = shim.control.exited();
    assert_eq!((record.code, record.oom_killed), (137, true));
    assert!(shim.record().unwrap().oom_killed);
    shim.shutdown();
}

#[test]
fn an_event_comes_after_its_record() {
    for _ in 0..20 {
        let mut shim = Shim::spawn();
        shim.run(shim.request(&["true"], false));
        let record = shim.control.exited();
        assert_eq!(shim.record(), Some(record));
        shim.shutdown();
    }
}

#[test]
fn no_descriptor_and_no_signal_mask_leaks_into_the_container() {
    for mode in ["init", "exec"] {
        let mut shim = Shim::spawn();
        let script = "cd /proc/self/fd; for n in *; do echo fd $n; done; while read k v; do case $k in Sig*) echo $k $v;; esac; done < /proc/self/status";
        let client = match mode {
            "init" => {
                let client = shim.control.attach(everything());
                shim.run(shim.request(&["sh", "-c", script], false));
                client
            }
            _ => {
                shim.run(shim.request(&["sleep", "1000"], false));
                shim.exec("e", &["sh", "-c", script], false, true).unwrap()
            }
        };
        let text = String::from_utf8(demux(&drain(&client)).0).unwrap();
        // the shell's own expansion holds a directory open for a moment
        let fds: Vec<_> = text.lines().filter(|l| l.starts_with("fd ")).collect();
        assert!(fds.len() <= 4, "{mode}: {text}");
        assert!(text.contains("SigBlk: 0000000000000000"), "{mode}: {text}");
        // as process 1 the shell itself ignores SIGQUIT
        assert!(
            ["0", "4"].iter().any(|n| text.contains(&format!("SigIgn: 000000000000000{n}"))),
            "{mode}: {text}"
        );
    }
}

#[test]
fn a_program_without_pid_namespace_leaves_nobody_behind() {
    let mut shim = Shim::spawn();
    let mut request = shim.request(&["sh", "-c", "sleep 1000 & exit 0"], false);
    let linux = request.spec.linux_mut().as_mut().unwrap();
    let mut namespaces = linux.namespaces().clone().unwrap();
    namespaces.retain(|n| n.typ() != oci_spec::runtime::LinuxNamespaceType::Pid);
    linux.set_namespaces(Some(namespaces));
    shim.run(request);
    assert_eq!(shim.control.exited().code, 0);
    shim.shutdown();
    assert!(
        !std::path::Path::new("/sys/fs/cgroup/pids").join(format!(".{}", shim.cgroup().display())).exists()
    );
}
