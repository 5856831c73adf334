//! Webhooks and numbers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use registry::server::{serve_metrics, tell_webhooks};
use ring::hmac;
use serde_json::Value;

use crate::support::{Running, ask, registry_with};

/// A receiver that answers with one status after another, and the last one from then on.
fn receiver(statuses: &'static [&'static str]) -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = channel();
    thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut text = Vec::new();
            let (head, body) = loop {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..count]);
                let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8(text[..end].to_vec()).unwrap();
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(|n| n.parse::<usize>().unwrap())
                });
                if text.len() >= end + 4 + length.unwrap() {
                    break (head, text[end + 4..].to_vec());
                }
            };
            let status = statuses[at.min(statuses.len() - 1)];
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            if told.send((head, body)).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

/// Lets the webhooks of a registry run in a thread of their own, from now on.
fn tell(running: &Running) {
    let registry = Arc::clone(&running.registry);
    let (ready, wait) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for webhook in registry.config.webhooks.clone() {
                tasks.spawn(tell_webhooks(Arc::clone(&registry), webhook).unwrap());
            }
            ready.send(()).unwrap();
            while tasks.join_next().await.is_some() {}
        });
    });
    wait.recv().unwrap();
}

fn next(heard: &Receiver<(String, Vec<u8>)>) -> (String, Value, Vec<u8>) {
    let (head, body) = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    (head, serde_json::from_slice(&body).unwrap(), body)
}

#[test]
fn webhooks_get_signed_envelopes_and_are_asked_again() {
    let (address, heard) = receiver(&["503 Later", "200 OK"]);
    let config = format!(
        "[[webhooks]]\nurl = 'http://{address}/hook?token=hidden'\nsecret = 'secret'\nactions = ['push', 'delete']\n\
         repositories = ['team/*']\n"
    );
    let running = registry_with(&config, |dir| std::fs::write(dir.join("secret"), "s3cret\n").unwrap());
    tell(&running);
    running.tagged("other", "v1", 1);
    let digest = running.tagged("team/a", "v1", 1);
    running.get("/v2/team/a/manifests/v1").is(200);
    let (head, body, bytes) = next(&heard);
    assert!(head.starts_with("POST /hook?token=hidden HTTP/1.1\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("content-type: application/vnd.docker.distribution.events.v1+json"), "{head}");
    let signature =
        lower.lines().find_map(|line| line.strip_prefix("x-berth-signature-256: sha256=")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    hmac::verify(&key, &bytes, &hex::decode(signature).unwrap()).unwrap();
    let event = &body["events"][0];
    assert_eq!((&event["action"], &event["target"]["tag"]), (&"push".into(), &"v1".into()));
    assert_eq!(event["target"]["digest"], *digest);
    assert_eq!(event["target"]["repository"], "team/a");
    assert!(event["id"].is_string() && event["timestamp"].is_string() && event["actor"].is_object());
    // the first attempt was refused for now: the same once more
    assert_eq!(next(&heard).2, bytes);
    running.ask("DELETE", &format!("/v2/team/a/manifests/{digest}"), &[], b"").is(202);
    let (_, body, _) = next(&heard);
    assert_eq!(body["events"][0]["action"], "delete");
}

#[test]
fn redirects_are_not_followed_and_refusals_are_final() {
    let (elsewhere, never) = receiver(&["200 OK"]);
    let redirect: &'static str = format!("307 Elsewhere\r\nLocation: http://{elsewhere}/").leak();
    let (address, heard) = receiver(vec![redirect].leak());
    let config = format!("[[webhooks]]\nurl = 'http://{address}/'\nactions = ['push']\nblobs = true\n");
    let running = registry_with(&config, |_| {});
    tell(&running);
    running.tagged("a", "v1", 1);
    let targets: Vec<_> = (0..3).map(|_| next(&heard).1["events"][0]["target"]["tag"].clone()).collect();
    assert_eq!(targets, [Value::Null, Value::Null, "v1".into()]);
    assert!(never.try_recv().is_err());
}

#[test]
fn numbers_are_told_at_an_address_of_their_own() {
    let running = registry_with("", |_| {});
    let registry = Arc::clone(&running.registry);
    let (told, hear) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            serve_metrics(registry, listener).await;
        });
    });
    let address = hear.recv().unwrap();
    running.tagged("secret/name", "v1", 1);
    running.get("/v2/secret/name/manifests/v1").is(200);
    running.get("/nothing").is(404);
    let text = String::from_utf8(ask(address, "GET", "/metrics", &[], b"").is(200).body).unwrap();
    for line in [
        r#"berth_registry_request_seconds_count{method="GET",route="manifest",code="200"} 1"#,
        r#"berth_registry_request_seconds_count{method="GET",route="other",code="404"} 1"#,
        "berth_registry_blob_received_bytes_total 2010",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(!text.contains("secret"));
    ask(address, "GET", "/", &[], b"").is(404);
    // here they are not
    running.get("/metrics").is(404);
}
