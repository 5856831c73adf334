//! Attached clients, terminals, exec sessions.

mod common;

use std::net::Shutdown;

use common::*;
use shim::protocol::*;

fn interactive(shim: &Shim, args: &[&str], terminal: bool) -> CreateRequest {
    CreateRequest { open_stdin: true, stdin_once: true, ..shim.request(args, terminal) }
}

#[test]
fn attach_before_create_misses_nothing() {
    let mut shim = Shim::spawn();
    let client = shim.control.attach(everything());
    shim.run(shim.request(&["sh", "-c", "echo early; echo wrong >&2"], false));
    assert_eq!(demux(&drain(&client)), (b"early\n".to_vec(), b"wrong\n".to_vec()));
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn two_clients_see_the_same_and_share_the_input() {
    let mut shim = Shim::spawn();
    let request = CreateRequest {
        stdin_once: false,
        ..interactive(&shim, &["sh", "-c", "read a; read b; echo $a$b"], false)
    };
    let one = shim.control.attach(everything());
    shim.run(request);
    let two = shim.control.attach(everything());
    write(&one, b"left\n");
    write(&two, b"right\n");
    let (a, b) = (demux(&drain(&one)).0, demux(&drain(&two)).0);
    assert_eq!(a, b);
    assert!(a == b"leftright\n" || a == b"rightleft\n", "{a:?}");
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn a_terminal_echoes_resizes_and_detaches() {
    let mut shim = Shim::spawn();
    shim.run(interactive(&shim, &["sh", "-c", "stty size; read x; stty size; read x; echo got $x"], true));
    let request = AttachRequest { detach_keys: vec![16, 17], ..everything() };
    let client = shim.control.attach(request.clone());
    shim.control.call(Request::Resize(ResizeRequest { exec_id: None, rows: 50, columns: 132 }), &[]).unwrap();
    write(&client, b"\n");
    read_until(&client, "50 132");
    write(&client, b"ab\x10");
    write(&client, b"\x11");
    drain(&client);
    assert!(matches!(shim.control.event(), Event::Detached { exec_id: None, .. }));
    let again = shim.control.attach(request);
    write(&again, b"cd\n");
    read_until(&again, "got abcd");
    assert_eq!(shim.control.exited().code, 0);
    assert!(shim.log().contains("got abcd\r\n"));
    shim.shutdown();
}

#[test]
fn without_stdin_once_the_input_stays_open() {
    let mut shim = Shim::spawn();
    let request = interactive(&shim, &["sh", "-c", "read a; read b; echo $a $b"], false);
    shim.run(CreateRequest { stdin_once: false, ..request });
    let one = shim.control.attach(everything());
    write(&one, b"one\n");
    one.shutdown(Shutdown::Write).unwrap();
    drain(&one);
    let two = shim.control.attach(everything());
    write(&two, b"two\n");
    assert_eq!(demux(&drain(&two)).0, b"one two\n");
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn exec_has_streams_of_its_own() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    let piped = shim.exec("a", &["sh", "-c", "cat; echo bye >&2; exit 5"], false, true).unwrap();
    write(&piped, b"hello");
    piped.shutdown(Shutdown::Write).unwrap();
    assert_eq!(demux(&drain(&piped)), (b"hello".to_vec(), b"bye\n".to_vec()));
    assert_eq!(shim.control.exec_exited("a"), 5);
    let tty = shim.exec("b", &["sh", "-c", "stty size; kill -9 $$"], true, true).unwrap();
    read_until(&tty, "30 100");
    assert_eq!(shim.control.exec_exited("b"), 137);
    shim.exec("c", &["sleep", "1000"], false, false).unwrap();
    let state = shim.control.state();
    assert_eq!(state.execs.iter().map(|exec| exec.exec_id.as_str()).collect::<Vec<_>>(), ["c"]);
    shim.control
        .call(Request::Kill(KillRequest { exec_id: Some("c".into()), signal: 15, all: false }), &[])
        .unwrap();
    assert_eq!(shim.control.exec_exited("c"), 143);
    assert_eq!(shim.exec("d", &["nothing"], false, true).unwrap_err().exit_code(), 127);
    assert_eq!(shim.exec("e", &["/bin/text"], false, true).unwrap_err().exit_code(), 126);
    shim.kill(9);
    shim.control.exited();
    assert_eq!(shim.log(), "");
    shim.shutdown();
}

#[test]
fn an_exec_that_leaves_children_ends_all_the_same() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    let client = shim.exec("a", &["sh", "-c", "sleep 1000 & echo done"], false, true).unwrap();
    assert_eq!(demux(&drain(&client)).0, b"done\n");
    assert_eq!(shim.control.exec_exited("a"), 0);
    shim.kill(9);
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn a_hundred_megabytes_arrive_whole() {
    const SIZE: usize = 100 << 20;
    let mut shim = Shim::spawn();
    let client = shim.control.attach(AttachRequest { stdout: true, ..AttachRequest::default() });
    let script = format!("yes 0123456789abcdef | head -c {SIZE}");
    let request = shim.request(&["sh", "-c", &script], false);
    shim.run(CreateRequest { log: LogRequest { max_size: 1_000_000, ..shim.log_request() }, ..request });
    let reader = std::thread::spawn(move || demux(&drain(&client)).0);
    let got = reader.join().unwrap();
    assert_eq!(got.len(), SIZE);
    assert!(got.chunks(17).all(|line| b"0123456789abcdef\n".starts_with(line)));
    shim.control.exited();
    shim.shutdown();
    let files: Vec<_> = std::fs::read_dir(shim.data()).unwrap().map(|f| f.unwrap()).collect();
    let logs = files.iter().filter(|f| f.file_name().to_string_lossy().contains(".log"));
    let sizes: Vec<u64> = logs.map(|f| f.metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|&size| size < 1_000_200), "{sizes:?}");
}

#[test]
fn a_slow_client_holds_back_and_misses_nothing() {
    let mut shim = Shim::spawn();
    let slow = shim.control.attach(AttachRequest { stdout: true, ..AttachRequest::default() });
    let quick = shim.control.attach(AttachRequest { stdout: true, ..AttachRequest::default() });
    shim.run(shim.request(&["sh", "-c", "yes | head -c 4000000"], false));
    let quick = std::thread::spawn(move || demux(&drain(&quick)).0.len());
    // requests are answered while the output waits
    assert_eq!(shim.control.state().status, Status::Running);
    assert_eq!(demux(&drain(&slow)).0.len(), 4_000_000);
    assert_eq!(quick.join().unwrap(), 4_000_000);
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn a_client_that_goes_away_does_no_harm() {
    let mut shim = Shim::spawn();
    let client = shim.control.attach(AttachRequest { stdout: true, ..AttachRequest::default() });
    drop(client);
    shim.run(shim.request(&["sh", "-c", "yes | head -c 1000000; echo end"], false));
    assert_eq!(shim.control.exited().code, 0);
    assert!(shim.log().ends_with("end\n"));
    shim.shutdown();
}

#[test]
fn input_of_a_client_that_closed_at_once_arrives() {
    let mut shim = Shim::spawn();
    let client = shim.control.attach(everything());
    write(&client, b"last words\n");
    drop(client);
    shim.run(interactive(&shim, &["cat"], false));
    assert_eq!(shim.control.exited().code, 0);
    assert_eq!(shim.log(), "last words\n");
    shim.shutdown();
}

#[test]
fn a_paused_container_takes_no_exec() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    shim.control.call(Request::Pause, &[]).unwrap();
    assert_eq!(shim.exec("a", &["true"], false, true).unwrap_err().kind, ErrorKind::InvalidState);
    shim.control.call(Request::Resume, &[]).unwrap();
    drain(&shim.exec("a", &["true"], false, true).unwrap());
    assert_eq!(shim.control.exec_exited("a"), 0);
    shim.kill(9);
    shim.control.exited();
    shim.shutdown();
}

#[test]
fn limits_are_changed_while_it_runs() {
    let mut shim = Shim::spawn();
    shim.run(shim.request(&["sleep", "1000"], false));
    let resources = serde_json::from_value(serde_json::json!({ "pids": { "limit": 7 } })).unwrap();
    shim.control.call(Request::Update(Box::new(resources)), &[]).unwrap();
    let host = sys::cgroup::Host::get().unwrap();
    let mount = match host.hierarchy(sys::cgroup::Controller::Pids) {
        Some(hierarchy) => &hierarchy.mount,
        None => host.unified.as_ref().unwrap(),
    };
    let group = mount.join(shim.cgroup().strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(group.join("pids.max")).unwrap().trim(), "7");
    shim.kill(9);
    shim.control.exited();
    shim.shutdown();
    assert!(!group.exists());
}

#[test]
fn detach_keys_are_bytes_like_others_without_a_terminal() {
    let mut shim = Shim::spawn();
    let request = AttachRequest { detach_keys: vec![16, 17], ..everything() };
    let client = shim.control.attach(request);
    shim.run(interactive(&shim, &["cat"], false));
    write(&client, b"a\x10\x11b");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(demux(&drain(&client)).0, b"a\x10\x11b");
    shim.control.exited();
    shim.shutdown();
}
