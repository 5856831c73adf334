//! What happens at once, and what is interrupted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use registry::server::config::Config;
use registry::server::{Registry, Server, storage};

use crate::support::{
    MANIFEST, Reply, ask, bytes, connect, descriptor, registry, registry_with, request, sha256,
};

#[test]
fn several_clients_push_the_same_blob_at_once() {
    let running = registry();
    let content = bytes(1, 2_000_000);
    let digest = sha256(&content);
    thread::scope(|scope| {
        for lane in 0..8 {
            let (running, content, digest) = (&running, &content, &digest);
            scope.spawn(move || {
                let location = running.upload("a");
                running.ask("PATCH", &location, &[], &content[..lane * 200_000]).is(202);
                let path = format!("{location}?digest={digest}");
                running.ask("PUT", &path, &[], &content[lane * 200_000..]).is(201);
                assert!(&running.get(&format!("/v2/a/blobs/{digest}")).is(200).body == content);
            });
        }
    });
    assert_eq!(running.files("blobs").len(), 1);
    assert!(running.files("uploads").is_empty() && running.files("tmp").is_empty());
}

#[test]
fn a_blob_that_is_deleted_is_pulled_to_its_end() {
    let running = registry();
    let content = bytes(2, 20_000_000);
    let digest = running.blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    let mut stream = connect(running.address);
    stream.write_all(&request("GET", &path, &[], b"")).unwrap();
    let mut text = vec![0; 1000];
    stream.read_exact(&mut text).unwrap();
    running.ask("DELETE", &path, &[], b"").is(202);
    for file in running.files("blobs") {
        std::fs::remove_file(file).unwrap();
    }
    running.get(&path).is(404);
    stream.read_to_end(&mut text).unwrap();
    assert!(Reply::read(&text).is(200).body == content);
}

#[test]
fn requests_that_run_are_answered_though_the_registry_ends() {
    let running = registry();
    let content = bytes(3, 500_000);
    let digest = sha256(&content);
    let whole = request("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], &content);
    let mut stream = connect(running.address);
    stream.write_all(&whole[..whole.len() - 1]).unwrap();
    // the registry is at it once the upload is there
    while running.files("uploads").is_empty() {
        thread::yield_now();
    }
    let address = running.address;
    let ender = thread::spawn(move || drop(running));
    while std::net::TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    stream.write_all(&whole[whole.len() - 1..]).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    Reply::read(&text).is(201);
    ender.join().unwrap();
}

#[test]
fn who_takes_no_byte_of_an_answer_loses_their_place() {
    let running = registry_with("max_connections = 1\nidle_timeout = '1s'\n", |_| {});
    // more than the sockets hold
    let digest = running.blob("a", &bytes(4, 30_000_000));
    let mut stream = connect(running.address);
    stream.write_all(&request("GET", &format!("/v2/a/blobs/{digest}"), &[], b"")).unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    running.get("/v2/").is(200);
    drop(stream);
}

/// Where the registry of a process of its own has its storage.
const STORAGE: &str = "CONFORMANCE_STORAGE";

/// Serves until this process is killed.
fn serve(dir: &str) {
    let text =
        format!("[storage]\npath = '{dir}'\n[log]\nrequests = false\n[http]\nlisten = '127.0.0.1:0'\n");
    let config = Config::parse(&text, "/x.toml".as_ref()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let storage = storage::open(&config.storage).await.unwrap();
        let registry = Arc::new(Registry::new(config, storage).unwrap());
        let server = Server::bind(registry).await.unwrap();
        let line = format!("\nserving {}\n", server.address().unwrap());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        server.serve(std::future::pending()).await;
    });
}

/// This test's program again, as a registry.
fn spawn(dir: &std::path::Path, test: &str) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(STORAGE, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("serving ")?.parse().ok());
    (child, address.expect("the registry serves"))
}

/// Pushes an image, as far as it goes before the registry is gone; its manifest's digest if it was taken.
fn push(address: SocketAddr, round: u64) -> Option<(String, Vec<Vec<u8>>)> {
    let blobs = [bytes(round * 2 + 1, 300_000), bytes(round * 2 + 2, 50_000)];
    let send = |method: &str, path: &str, body: &[u8]| -> Option<u16> {
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        stream.write_all(&request(method, path, &[("Content-Type", MANIFEST)], body)).ok()?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).ok()?;
        text.windows(4).any(|four| four == b"\r\n\r\n").then(|| Reply::read(&text).status)
    };
    for blob in &blobs {
        (send("POST", &format!("/v2/a/blobs/uploads/?digest={}", sha256(blob)), blob)? == 201)
            .then_some(())?;
    }
    let manifest = serde_json::json!({
        "schemaVersion": 2, "config": descriptor("x/y", &blobs[0]), "layers": [descriptor("x/z", &blobs[1])],
    })
    .to_string();
    (send("PUT", &format!("/v2/a/manifests/t{round}"), manifest.as_bytes())? == 201).then_some(())?;
    Some((sha256(manifest.as_bytes()), blobs.into()))
}

#[test]
fn kill_minus_nine_during_uploads_leaves_a_consistent_store() {
    if let Ok(dir) = std::env::var(STORAGE) {
        return serve(&dir);
    }
    let name = "storms::kill_minus_nine_during_uploads_leaves_a_consistent_store";
    let dir = tempfile::tempdir().unwrap();
    let mut taken = Vec::new();
    for life in 0..6_u64 {
        let (mut child, address) = spawn(dir.path(), name);
        let pushers: Vec<_> = (0..3)
            .map(|lane| {
                thread::spawn(move || {
                    (0..1000)
                        .map_while(|at| push(address, life * 10_000 + lane * 1000 + at))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // each life ends at another moment of the work
        let enough = count(address) + 2 + life;
        while count(address) < enough {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        taken.extend(pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()));
    }
    assert!(!taken.is_empty());
    let (mut child, address) = spawn(dir.path(), name);
    // all that was promised is there, and everything that is shown is whole
    for (manifest, blobs) in &taken {
        ask(address, "GET", &format!("/v2/a/manifests/{manifest}"), &[], b"").is(200);
        for blob in blobs {
            assert!(
                &ask(address, "GET", &format!("/v2/a/blobs/{}", sha256(blob)), &[], b"").is(200).body == blob
            );
        }
    }
    let tags = ask(address, "GET", "/v2/a/tags/list?n=1000", &[], b"").is(200).json();
    let tags = tags["tags"].as_array().unwrap().clone();
    assert!(tags.len() >= taken.len());
    for tag in tags {
        let manifest =
            ask(address, "GET", &format!("/v2/a/manifests/{}", tag.as_str().unwrap()), &[], b"").is(200);
        assert_eq!(manifest.header("docker-content-digest"), Some(&*sha256(&manifest.body)));
        for one in ["/config", "/layers/0"] {
            let digest = manifest.json().pointer(one).unwrap()["digest"].as_str().unwrap().to_owned();
            let blob = ask(address, "GET", &format!("/v2/a/blobs/{digest}"), &[], b"").is(200);
            assert_eq!(sha256(&blob.body), digest);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How many tags there are by now.
fn count(address: SocketAddr) -> u64 {
    let reply = ask(address, "GET", "/v2/a/tags/list?n=1000", &[], b"");
    let tags = if reply.status == 200 { reply.json()["tags"].as_array().map_or(0, Vec::len) } else { 0 };
    tags as u64
}
