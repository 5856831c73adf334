//! No body is too long or too oddly sent to be judged: a plugin that forbids privileged containers is shown every one
//! that asks for them, or the request is refused. Docker's own daemon has skipped bodies of 0 bytes announced
//! (CVE-2024-41110) and of more than 1 MiB (CVE-2026-34040).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::programs::PATIENCE;

use super::judged;
use super::plugin::{Question, Reply};

const MIB: usize = 1 << 20;

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Length,
    Chunked,
    /// A length of 0, and the body behind it.
    LyingLength,
}

/// A request for a privileged container, filled up to `size` bytes.
fn body(size: usize) -> Vec<u8> {
    let head = format!("{{\"Image\":\"{IMAGE}\",\"Labels\":{{\"x\":\"");
    let tail = "\"},\"HostConfig\":{\"Privileged\":true}}";
    let fill = size.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "y".repeat(fill)).into_bytes()
}

fn send(socket: &std::path::Path, way: Way, kind: &str, body: &[u8]) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request =
        format!("POST /v1.41/containers/create?name=sly HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}");
    let mut bytes = match way {
        Way::Length => {
            request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
            request.into_bytes()
        }
        Way::LyingLength => {
            request.push_str("Content-Length: 0\r\n\r\n");
            request.into_bytes()
        }
        Way::Chunked => {
            request.push_str("Transfer-Encoding: chunked\r\n\r\n");
            request.into_bytes()
        }
    };
    if matches!(way, Way::Chunked) {
        for chunk in body.chunks(100_000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes.extend(body);
    }
    // a daemon that refuses early may close before all is sent
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn every_body_is_seen_or_its_request_refused() -> Result<()> {
    let rule = |question: &Question| {
        let privileged = question.body().windows(17).any(|bytes| bytes == b"\"Privileged\":true");
        if question.is_request() && privileged { Reply::Deny("no privileges") } else { Reply::Allow }
    };
    let (_dir, plugin, berth) = judged(&[], rule)?;
    let socket = berth.root().join("sock");
    let json = "Content-Type: application/json\r\n";
    for way in [Way::Length, Way::Chunked] {
        for size in [200, MIB - 1, MIB, MIB + 1, 4 * MIB + 1] {
            let body = body(size);
            for kind in [
                json,
                "content-type: Application/JSON; charset=utf-8\r\n",
                "Content-Type: application/json; x\r\n",
            ] {
                let answer = send(&socket, way, kind, &body)?;
                ensure!(
                    answer.starts_with("HTTP/1.1 403 ") && answer.contains("no privileges"),
                    "{way:?} {size} {kind}: {answer:.300}"
                );
                let seen = plugin.take();
                ensure!(
                    seen.len() == 1 && seen[0].body() == body,
                    "{way:?} {size}: {} questions",
                    seen.len()
                );
            }
        }
        // longer than anything that is read: refused before anyone is asked
        let answer = send(&socket, way, json, &body(8 * MIB + 1))?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer:.300}");
        ensure!(plugin.take().is_empty());
        // no handler takes for JSON what is not said to be
        for kind in ["", "Content-Type: text/plain\r\n"] {
            let answer = send(&socket, way, kind, &body(200))?;
            ensure!(answer.starts_with("HTTP/1.1 400 "), "{kind}: {answer:.300}");
        }
        plugin.take();
    }
    // a body of 0 bytes, and what follows it is another request or none
    for body in [Vec::new(), body(300)] {
        let answer = send(&socket, Way::LyingLength, json, &body)?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer:.300}");
    }
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty(), "a container was made");
    berth.finish()
}
