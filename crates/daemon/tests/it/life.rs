//! The daemon's life: settings, sockets, signals.

use std::process::{Command, Output};

use crate::common::{self, Daemon, PATIENCE, command};
use rustix::process::Signal;

fn run(words: &[&str], config: &str) -> Output {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("daemon.json"), config).unwrap();
    command(root.path()).args(words).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn settings_are_validated() {
    let good = run(&["--validate"], r#"{"debug": true}"#);
    assert!(good.status.success(), "{}", stderr(&good));
    assert_eq!(good.stdout, b"configuration OK\n");
    let unknown = run(&["--validate"], r#"{"colour": true}"#);
    assert!(!unknown.status.success());
    assert!(
        stderr(&unknown).contains("don't match any configuration option: colour"),
        "{}",
        stderr(&unknown)
    );
    let flag = run(&["--colour"], "{}");
    assert!(!flag.status.success() && stderr(&flag).contains("--colour"), "{}", stderr(&flag));
    let never = run(&["--cpu-rt-period", "1"], "{}");
    assert!(!never.status.success());
    let said = stderr(&never);
    assert!(said.starts_with("berthd: --cpu-rt-period is refused: real-time group scheduling"), "{said}");
}

#[test]
fn sigterm_ends_quietly_and_leaves_no_socket() {
    let mut daemon = Daemon::start();
    let (socket, pidfile) = (daemon.socket(), daemon.root().join("pid"));
    assert!(socket.exists() && pidfile.exists());
    // A client that listens for ever does not hold the daemon up.
    let mut listening = daemon.connect();
    std::io::Write::write_all(&mut listening, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    common::read_head(&mut listening);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    assert!(!socket.exists() && !pidfile.exists());
}

#[test]
fn a_live_socket_is_not_taken_and_a_dead_one_is() {
    let mut daemon = Daemon::start();
    let second = run(&["-H", &format!("unix://{}", daemon.socket().display())], "{}");
    assert!(!second.status.success());
    assert!(stderr(&second).contains("another daemon listens there"), "{}", stderr(&second));
    assert_eq!(daemon.ask("GET", "/_ping").status, 200);
    daemon.signal(Signal::KILL);
    daemon.wait();
    assert!(daemon.socket().exists());
    let path = daemon.socket();
    let next = Daemon::start_with(|command| {
        command.arg("-H").arg(format!("unix://{}", path.display()));
    });
    assert_eq!(next.ask("GET", "/_ping").status, 200);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
}

#[test]
fn sighup_reloads_and_a_mistake_changes_nothing() {
    let daemon = Daemon::start();
    let reload = |config: &str, expected: &str| {
        std::fs::write(daemon.root().join("daemon.json"), config).unwrap();
        daemon.signal(Signal::HUP);
        let deadline = std::time::Instant::now() + PATIENCE;
        while !daemon.log().contains(expected) {
            assert!(std::time::Instant::now() < deadline, "no {expected:?} in {}", daemon.log());
            std::thread::yield_now();
        }
    };
    reload(r#"{"labels": ["a=b"]}"#, "configuration reloaded");
    reload(r#"{"labels": 7}"#, "configuration not reloaded");
    assert_eq!(daemon.ask("GET", "/_ping").status, 200);
}

#[test]
fn sockets_of_systemd_are_served() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("activated");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // The shell puts the socket where systemd would, and execs: its pid stays.
    let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#;
    let daemon = Daemon::start_with(|command| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.args(["-H", "fd://"]);
        shell.stdin(std::os::fd::OwnedFd::from(listener)).stdout(std::process::Stdio::piped());
        *command = shell;
    });
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(common::read_answer(&mut stream).status, 200);
    drop(daemon);
}
