//! TCP over TLS, spoken to by OpenSSL's client.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::Daemon;

fn openssl(dir: &Path, words: &str) -> String {
    let output =
        Command::new("openssl").args(words.split(' ')).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.expect("cannot run openssl: apt-get install openssl");
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An authority, a daemon and a client that it has signed.
fn certificates(dir: &Path) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(dir, &format!("req -x509 {new} -keyout ca-key.pem -out ca.pem -subj /CN=authority"));
    for name in ["server", "client"] {
        openssl(dir, &format!("req {new} -keyout {name}-key.pem -out {name}.csr -subj /CN={name}"));
        std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -days 2 -extfile names -out {name}.pem"
            ),
        );
    }
}

/// What the daemon says to a ping, with these words more for OpenSSL's client.
fn ping(dir: &Path, port: u16, words: &str) -> String {
    let base = format!(
        "s_client -quiet -no_ign_eof -verify_return_error -CAfile ca.pem -connect 127.0.0.1:{port}{words}"
    );
    let mut client = Command::new("openssl")
        .args(base.split(' '))
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The end of standard input would end the client before the answer: it stays open until then.
    let mut input = client.stdin.take().unwrap();
    let _ = input.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = std::io::Read::read_to_string(&mut client.stdout.take().unwrap(), &mut answer);
    drop(input);
    let _ = client.wait();
    answer
}

#[test]
fn only_clients_with_a_certificate_are_let_in() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| dir.path().join(name);
    let _daemon = Daemon::start_with(|command| {
        command.arg("-H").arg(format!("tcp://127.0.0.1:{port}")).arg("--tlsverify");
        command.arg("--tlscacert").arg(file("ca.pem")).arg("--tlscert").arg(file("server.pem"));
        command.arg("--tlskey").arg(file("server-key.pem"));
    });
    let known = ping(dir.path(), port, " -cert client.pem -key client-key.pem");
    assert!(known.starts_with("HTTP/1.1 200 ") && known.ends_with("\r\n\r\nOK"), "{known:?}");
    assert_eq!(ping(dir.path(), port, ""), "");
    let mut clear = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    clear.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    clear.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut clear, &mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "answered in the clear");
}
