//! HTTP by hand: versions, errors, bodies of every kind, and clients that go away.

use std::io::{Read as _, Write as _};

use crate::common::{Daemon, read_answer, read_head};

#[test]
fn ping_tells_the_version_and_what_may_be_built() {
    let daemon = Daemon::start();
    for (method, path, length) in [("GET", "/_ping", 2), ("GET", "/v1.24/_ping", 2)] {
        let answer = daemon.ask(method, path);
        assert_eq!((answer.status, answer.body.len()), (200, length));
        for line in [
            "Api-Version: 1.55",
            "Docker-Experimental: false",
            "Ostype: linux",
            "Server: Berth/",
            "Builder-Version: 1",
            "Cache-Control: no-cache, no-store, must-revalidate",
            "Pragma: no-cache",
        ] {
            assert!(answer.head.contains(line), "{line} is not in {}", answer.head);
        }
    }
    let mut stream = daemon.connect();
    stream.write_all(b"HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 ") && all.ends_with("\r\n\r\n"), "{all:?}");
}

#[test]
fn versions_are_negotiated() {
    let daemon = Daemon::start();
    let old = daemon.ask("GET", "/v1.23/version");
    assert_eq!(old.status, 400);
    assert_eq!(
        old.message(),
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
         newer version"
    );
    let new = daemon.ask("GET", "/v1.56/version");
    assert_eq!(new.status, 400);
    assert_eq!(new.message(), "client version 1.56 is too new. Maximum supported API version is 1.55");
    for path in ["/version", "/v1.24/version", "/v1.55/version"] {
        let answer = daemon.ask("GET", path).json();
        assert_eq!(
            (answer["ApiVersion"].as_str(), answer["MinAPIVersion"].as_str()),
            (Some("1.55"), Some("1.24"))
        );
    }
    // A route that came later than the client's version is no route for it.
    assert_eq!(daemon.ask("GET", "/v1.24/system/df").status, 404);
}

#[test]
fn what_is_not_there_is_told_apart() {
    let daemon = Daemon::start();
    for (method, path, status, text) in [
        ("GET", "/nope", 404, "page not found"),
        ("PATCH", "/info", 404, "page not found"),
        ("POST", "/info", 404, "page not found"),
        ("GET", "/containers/nope/json", 404, "No such container: nope"),
        ("GET", "/images/nope/json", 404, "No such image: nope"),
        ("POST", "/images/create?fromImage=127.0.0.1:1/x&tag=y", 500, "127.0.0.1:1"),
        ("GET", "/volumes/nope", 404, "get nope: no such volume"),
        ("GET", "/images/search?term=127.0.0.1:1/x", 500, "127.0.0.1:1"),
        ("POST", "/build?remote=http://127.0.0.1:1/x", 400, "connection refused"),
        ("GET", "/plugins", 501, "managing plugins"),
        ("GET", "/nodes", 503, "Kubernetes"),
        ("GET", "/containers/nope/logs", 400, "you must choose at least one stream"),
        ("GET", "/containers/json?filters=nonsense", 400, "invalid filter"),
        ("GET", "/events?since=2&until=1", 400, "cannot be after `until` time"),
        ("POST", "/containers/nope/wait?condition=bored", 400, "invalid condition: \"bored\""),
        ("POST", "/containers/nope/resize?h=1", 400, "invalid terminal size"),
    ] {
        let answer = daemon.ask(method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.message().contains(text), "{method} {path}: {}", answer.message());
    }
}

#[test]
fn bodies_are_checked() {
    let daemon = Daemon::start();
    let refused = |request: &str, text: &str| {
        let answer = daemon.send(request);
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(answer.message().contains(text), "{:?} lacks {text:?}", answer.message());
    };
    let post = "POST /containers/create HTTP/1.1\r\nHost: x\r\n";
    refused(&format!("{post}\r\n"), "got EOF while reading request body");
    refused(&format!("{post}Content-Length: 2\r\n\r\n{{}}"), "must be 'application/json'");
    let post = format!("{post}Content-Type: application/json; charset=utf-8\r\n");
    refused(&format!("{post}Content-Length: 1\r\n\r\n{{"), "invalid JSON");
    refused(&format!("{post}Content-Length: 4\r\n\r\n{{}}{{}}"), "invalid JSON");
    refused(&format!("{post}Content-Length: 12\r\n\r\n{{\"Tty\": \"a\"}}"), "invalid JSON");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&format!("{post}Content-Length: {}\r\n\r\n{deep}", deep.len()), "invalid JSON");
    // Chunked, with unknown fields and nulls: read, and only the image is missing.
    let body = r#"{"Image":"nope","Env":null,"HostConfig":{"Memory":null,"New":{}},"More":[1]}"#;
    let (first, second) = body.split_at(10);
    let chunked = format!(
        "{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let answer = daemon.send(&chunked);
    assert_eq!((answer.status, answer.message().as_str()), (404, "No such image: nope:latest"));
}

#[test]
fn a_huge_body_is_refused_and_not_kept() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    let head = "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let megabyte = vec![b' '; 1 << 20];
    for _ in 0..64 {
        // The daemon may close before everything is sent.
        let sent = write!(stream, "{:x}\r\n", megabyte.len())
            .and_then(|()| stream.write_all(&megabyte))
            .and_then(|()| stream.write_all(b"\r\n"));
        if sent.is_err() {
            break;
        }
    }
    let answer = read_answer(&mut stream);
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("length limit exceeded"), "{}", answer.message());
    assert_eq!(daemon.ask("GET", "/_ping").status, 200);
}

#[test]
fn garbage_and_endless_heads_end_the_connection_and_nothing_else() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 400 "));

    let mut stream = daemon.connect();
    stream.write_all(b"GET /_ping HTTP/1.1\r\n").unwrap();
    let line = format!("X-{}: y\r\n", "x".repeat(1000));
    for _ in 0..1000 {
        if stream.write_all(line.as_bytes()).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(daemon.ask("GET", "/_ping").status, 200);
}

#[test]
fn clients_that_go_away_leave_nothing() {
    let daemon = Daemon::start();
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", pid(&daemon))).unwrap().count();
    assert_eq!(daemon.ask("GET", "/_ping").status, 200);
    let before = descriptors();
    for _ in 0..20 {
        drop(daemon.connect());
        let mut stream = daemon.connect();
        stream
            .write_all(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            .unwrap();
        let mut stream = daemon.connect();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        read_head(&mut stream);
        let mut stream = daemon.connect();
        stream.write_all(b"POST /exec/x/start HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    }
    let deadline = std::time::Instant::now() + crate::common::PATIENCE;
    while descriptors() > before {
        assert!(std::time::Instant::now() < deadline, "{} descriptors, {before} before", descriptors());
        assert_eq!(daemon.ask("GET", "/_ping").status, 200);
    }
}

fn pid(daemon: &Daemon) -> String {
    std::fs::read_to_string(daemon.root().join("pid")).unwrap()
}

#[test]
fn several_requests_share_a_connection_and_a_hijack_ends_it() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream).status, 200);
    }
    let body = r#"{"Image":"nope"}"#;
    let create = format!(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(create.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 404);
    stream.write_all(b"POST /containers/nope/attach?stream=1 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, answer.message().as_str()), (404, "No such container: nope"));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn hijacked_routes_answer_errors_as_any_other() {
    let daemon = Daemon::start();
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    for extra in ["", upgrade] {
        let attach =
            daemon.send(&format!("POST /v1.41/containers/nope/attach HTTP/1.1\r\nHost: x\r\n{extra}\r\n"));
        assert_eq!((attach.status, attach.message().as_str()), (404, "No such container: nope"));
        let chunked = format!(
            "POST /exec/nope/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}\
             Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        );
        let exec = daemon.send(&chunked);
        assert_eq!((exec.status, exec.message().as_str()), (404, "No such exec instance: nope"));
    }
    let too_old = daemon.ask("POST", "/v1.1/exec/nope/start");
    assert_eq!(too_old.status, 400);
    assert!(too_old.message().contains("too old"));
    for body in [
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Content-Length: 99999999999\r\n\r\n",
        "Content-Length: x\r\n\r\n",
    ] {
        let answer = daemon.send(&format!("POST /exec/nope/start HTTP/1.1\r\nHost: x\r\n{body}"));
        assert_eq!(answer.status, 400, "{body:?}");
    }
}

#[test]
fn events_begin_at_once_and_end_at_until() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 "));
    let past = daemon.ask("GET", "/events?since=1&until=2");
    assert_eq!((past.status, past.body.len()), (200, 0));
}
