use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use crate::bundle::Bundle;

/// What a program at a terminal says, up to its end.
fn read_all(master: OwnedFd) -> String {
    let mut file = std::fs::File::from(master);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    // EIO is the end of a terminal
    while let Ok(n @ 1..) = file.read(&mut buffer) {
        bytes.extend(&buffer[..n]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn receive(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let (n, mut fds) = sys::fd::recv(&stream, &mut name).unwrap();
    assert!(n > 0);
    fds.pop().unwrap()
}

#[test]
fn the_console_socket_gets_the_master() {
    let mut b = Bundle::new("tty; ls -l /proc/self/fd/0 /dev/console; stty size; read x; echo got $x");
    b.spec["process"]["terminal"] = true.into();
    b.spec["process"]["consoleSize"] = serde_json::json!({ "height": 33, "width": 77 });
    let listener = UnixListener::bind(b.path().join("console")).unwrap();
    let ran = b.call_detached(&["run", "-d", "--console-socket", "console", &b.id]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let master = receive(&listener);
    let mut file = std::fs::File::from(master.try_clone().unwrap());
    file.write_all(b"word\n").unwrap();
    let text = read_all(master);
    assert!(text.contains("/dev/pts/0") && text.contains("/dev/console"), "{text}");
    assert!(text.contains("33 77") && text.contains("got word"), "{text}");
    b.end();
}

#[test]
fn exec_at_a_terminal() {
    let mut b = Bundle::sleeping();
    b.start();
    let listener = UnixListener::bind(b.path().join("console")).unwrap();
    let ran =
        b.call_detached(&["exec", "-d", "-t", "--console-socket", "console", &b.id, "sh", "-c", "tty; ps"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = read_all(receive(&listener));
    assert!(text.contains("/dev/pts/0"), "{text}");
    b.end();
}

#[test]
fn terminal_and_socket_go_together() {
    let mut b = Bundle::new("true");
    b.spec["process"]["terminal"] = true.into();
    assert!(b.call(&["create", &b.id]).err.contains("console socket"));
    b.nothing_left();
    let mut b = Bundle::new("true");
    assert!(b.call(&["run", "--console-socket", "x", &b.id]).err.contains("console socket"));
    b.nothing_left();
}
