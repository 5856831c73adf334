//! "Push", blobs: end-4, end-5, end-6, end-11, end-13.

use std::io::{Read as _, Write as _};

use crate::support::{bytes, connect, registry, registry_with, request, sha256};

#[test]
fn end_4a_end_6_post_then_put_is_a_monolithic_push() {
    let running = registry();
    let content = bytes(1, 900_000);
    let digest = sha256(&content);
    let begun = running.ask("POST", "/v2/a/b/blobs/uploads/", &[], b"").is(202);
    assert!(begun.header("docker-upload-uuid").is_some());
    assert_eq!(begun.header("range"), Some("0-0"));
    let location = begun.location().to_owned();
    let done = running.ask("PUT", &format!("{location}?digest={digest}"), &[], &content).is(201);
    assert_eq!(done.location(), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(done.header("docker-content-digest"), Some(&*digest));
    assert!(running.get(done.location()).is(200).body == content);
    // the upload is no more
    assert_eq!(running.get(&location).is(404).code(), "BLOB_UPLOAD_UNKNOWN");
    assert!(running.files("uploads").is_empty());
}

#[test]
fn end_4b_a_single_post_pushes() {
    let running = registry();
    let digest = sha256(b"content");
    let done = running.ask("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], b"content").is(201);
    assert_eq!(running.get(done.location()).is(200).body, b"content");
    // a client that has sent nothing yet goes on as with any upload
    let begun = running.ask("POST", &format!("/v2/b/blobs/uploads/?digest={digest}"), &[], b"").is(202);
    running.ask("PUT", &format!("{}?digest={digest}", begun.location()), &[], b"content").is(201);
    // nothing has a digest, too
    let nothing = sha256(b"");
    running.ask("POST", &format!("/v2/a/blobs/uploads/?digest={nothing}"), &[], b"").is(201);
    assert!(running.files("uploads").is_empty());
}

#[test]
fn end_5_chunks_in_order() {
    let running = registry();
    let content = bytes(2, 1_000_000);
    let location = running.upload("a");
    let mut at = 0;
    for length in [1, 400_000, 99_999, 300_000] {
        let range = format!("{at}-{}", at + length - 1);
        let chunk = &content[at..at + length];
        at += length;
        let reply = running.ask("PATCH", &location, &[("Content-Range", &range)], chunk).is(202);
        assert_eq!(reply.header("range"), Some(&*format!("0-{}", at - 1)));
        assert_eq!(reply.location(), location);
        // end-13: where were we?
        let status = running.get(&location).is(204);
        assert_eq!(status.header("range"), Some(&*format!("0-{}", at - 1)));
        assert_eq!(status.location(), location);
    }
    let digest = sha256(&content);
    let range = format!("{at}-{}", content.len() - 1);
    let path = format!("{location}?digest={digest}");
    let done = running.ask("PUT", &path, &[("Content-Range", &range)], &content[at..]).is(201);
    assert!(running.get(done.location()).body == content);
}

#[test]
fn end_5_chunks_out_of_order_are_416() {
    let running = registry();
    let location = running.upload("a");
    let later = running.ask("PATCH", &location, &[("Content-Range", "5-9")], b"56789").is(416);
    assert_eq!(later.code(), "RANGE_INVALID");
    assert_eq!(later.location(), location);
    running.ask("PATCH", &location, &[("Content-Range", "0-4")], b"01234").is(202);
    // again, and with a hole
    let again = running.ask("PATCH", &location, &[("Content-Range", "0-4")], b"01234").is(416);
    assert_eq!(again.header("range"), Some("0-4"));
    running.ask("PATCH", &location, &[("Content-Range", "6-9")], b"6789").is(416);
    running.ask("PATCH", &location, &[("Content-Range", "nonsense")], b"5").is(416);
    assert_eq!(
        running.ask("PATCH", &location, &[("Content-Range", "5-9")], b"5").is(400).code(),
        "SIZE_INVALID"
    );
    let digest = sha256(b"0123456789");
    let path = format!("{location}?digest={digest}");
    running.ask("PUT", &path, &[("Content-Range", "3-9")], b"3456789").is(416);
    // the upload has not suffered
    running.ask("PUT", &path, &[("Content-Range", "5-9")], b"56789").is(201);
}

#[test]
fn end_5_a_stream_without_length_is_appended() {
    let running = registry();
    let location = running.upload("a");
    for chunk in ["hello ", "world"] {
        let body = format!("{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len());
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let mut stream = connect(running.address);
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 202"), "{text}");
    }
    running.ask("PUT", &format!("{location}?digest={}", sha256(b"hello world")), &[], b"").is(201);
}

#[test]
fn end_6_another_digest_than_the_content_s_is_digest_invalid() {
    let running = registry();
    for digest in [sha256(b"other"), "sha256:x".into(), "md5:d41d8cd98f00b204e9800998ecf8427e".into()] {
        let location = running.upload("a");
        let reply = running.ask("PUT", &format!("{location}?digest={digest}"), &[], b"content").is(400);
        assert_eq!(reply.code(), "DIGEST_INVALID");
    }
    let location = running.upload("a");
    assert_eq!(running.ask("PUT", &location, &[], b"content").is(400).code(), "DIGEST_INVALID");
    let single = running
        .ask("POST", &format!("/v2/a/blobs/uploads/?digest={}", sha256(b"x")), &[], b"content")
        .is(400);
    assert_eq!(single.code(), "DIGEST_INVALID");
    running.head(&format!("/v2/a/blobs/{}", sha256(b"content"))).is(404);
    assert!(running.files("blobs").is_empty(), "nothing wrong is kept");
}

#[test]
fn end_6_sha512_is_a_digest_too() {
    let running = registry();
    let content = bytes(3, 100_000);
    let digest = format!("sha512:{}", hex::encode(<sha2::Sha512 as sha2::Digest>::digest(&content)));
    running.ask("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], &content).is(201);
    assert!(running.get(&format!("/v2/a/blobs/{digest}")).is(200).body == content);
    // promised at the beginning, or only known at the end
    for query in ["?digest-algorithm=sha512", ""] {
        let begun = running.ask("POST", &format!("/v2/b/blobs/uploads/{query}"), &[], b"").is(202);
        running.ask("PATCH", begun.location(), &[], &content).is(202);
        running.ask("PUT", &format!("{}?digest={digest}", begun.location()), &[], b"").is(201);
    }
    running.ask("POST", "/v2/b/blobs/uploads/?digest-algorithm=md5", &[], b"").is(400);
}

#[test]
fn end_11_mounting_takes_a_blob_over() {
    let running = registry();
    let digest = running.blob("a/source", b"content");
    let path = format!("/v2/b/target/blobs/uploads/?mount={digest}&from=a/source");
    let reply = running.ask("POST", &path, &[], b"").is(201);
    assert_eq!(reply.location(), format!("/v2/b/target/blobs/{digest}"));
    assert_eq!(running.get(reply.location()).is(200).body, b"content");
    // a slash may be written in either way
    let path = format!("/v2/c/blobs/uploads/?mount={digest}&from=a%2Fsource");
    running.ask("POST", &path, &[], b"").is(201);
    // deleting it there leaves it here
    running.ask("DELETE", &format!("/v2/a/source/blobs/{digest}"), &[], b"").is(202);
    running.get(&format!("/v2/b/target/blobs/{digest}")).is(200);
}

#[test]
fn end_11_what_can_t_be_mounted_begins_an_upload() {
    let running = registry();
    let digest = running.blob("a", b"content");
    for query in [
        format!("mount={}&from=a", sha256(b"none")),
        format!("mount={digest}&from=nobody"),
        format!("mount={digest}&from=../a"),
        // which repository has it is not searched for: that would tell
        format!("mount={digest}"),
    ] {
        let reply = running.ask("POST", &format!("/v2/b/blobs/uploads/?{query}"), &[], b"").is(202);
        assert!(reply.location().starts_with("/v2/b/blobs/uploads/"));
    }
    running.head(&format!("/v2/b/blobs/{digest}")).is(404);
}

#[test]
fn end_13_uploads_are_asked_for_and_cancelled() {
    let running = registry();
    let location = running.upload("a");
    running.ask("PATCH", &location, &[], b"12345").is(202);
    assert_eq!(running.get(&location).is(204).header("range"), Some("0-4"));
    // it is this repository's
    running.get(&location.replace("/a/", "/b/")).is(404);
    running.ask("DELETE", &location, &[], b"").is(204);
    for method in ["GET", "DELETE", "PATCH", "PUT"] {
        let reply = running.ask(method, &format!("{location}?digest={}", sha256(b"")), &[], b"").is(404);
        assert_eq!(reply.code(), "BLOB_UPLOAD_UNKNOWN", "{method}");
    }
    running.get("/v2/a/blobs/uploads/not-an-id").is(404);
    assert!(running.files("uploads").is_empty());
}

#[test]
fn an_interrupted_chunk_keeps_what_came_and_goes_on() {
    let running = registry();
    let content = bytes(5, 3_000_000);
    let location = running.upload("a");
    let whole = request("PATCH", &location, &[], &content);
    let mut stream = connect(running.address);
    stream.write_all(&whole[..2_000_000]).unwrap();
    drop(stream);
    // the next request waits until the registry has seen that
    let mut kept = 0;
    while kept == 0 {
        let status = running.get(&location).is(204);
        kept = status.header("range").unwrap().split_once('-').unwrap().1.parse().unwrap();
    }
    let reply = running.ask("PATCH", &location, &[("Content-Range", "0-0")], b"x").is(416);
    let kept: usize = reply.header("range").unwrap().split_once('-').unwrap().1.parse().unwrap();
    assert!(kept > 1_900_000 && kept < 2_000_000, "{kept}");
    let range = format!("{}-{}", kept + 1, content.len() - 1);
    running.ask("PATCH", &location, &[("Content-Range", &range)], &content[kept + 1..]).is(202);
    let digest = sha256(&content);
    running.ask("PUT", &format!("{location}?digest={digest}"), &[], b"").is(201);
    assert!(running.get(&format!("/v2/a/blobs/{digest}")).is(200).body == content);
}

#[test]
fn a_blob_that_is_too_large_is_refused_and_not_kept() {
    let running = registry_with("[uploads]\nmax_size = '100kB'\n", |_| {});
    let content = bytes(6, 100_001);
    let reply =
        running.ask("POST", &format!("/v2/a/blobs/uploads/?digest={}", sha256(&content)), &[], &content);
    assert_eq!(reply.is(413).code(), "SIZE_INVALID");
    assert!(running.files("uploads").is_empty());
    running.blob("a", &content[..100_000]);
}
