//! The driver with a store in a process of its own, and on a way on which things go wrong.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::registry::moto::{Moto, Turn, Way};

use super::super::conformance;
use super::*;

fn config(address: std::net::SocketAddr, prefix: &str, more: &str) -> config::S3 {
    let text = Moto::storage(address, prefix, more);
    let text = format!("{text}[http]\nlisten = '127.0.0.1:0'\n");
    let config = config::Config::parse(&text, Path::new("/x.toml")).unwrap();
    config.storage.s3.unwrap()
}

async fn open(address: std::net::SocketAddr, prefix: &str, more: &str) -> S3 {
    S3::open(&config(address, prefix, more)).await.unwrap()
}

fn noise(seed: u64, length: usize) -> Bytes {
    e2e::registry::noise(seed, length).into()
}

async fn append(storage: &S3, upload: &Key, offset: u64, bytes: Bytes) -> u64 {
    let mut end = storage.upload_append(upload, offset).await.unwrap();
    end.write(&[bytes]).await.unwrap();
    end.close().await.unwrap()
}

async fn read(storage: &S3, key: &Key, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let object = storage.open(key).await?.unwrap();
    let chunks: Vec<Bytes> = object.read(range).try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn a_bucket_passes_the_suite() {
    let moto = Moto::start().unwrap();
    conformance::run(&open(moto.address(), "", "").await).await;
    conformance::run(&open(moto.address(), "some/where", "").await).await;
    assert_eq!(moto.keys("").unwrap(), ["format", "some/where/format"]);
    assert_eq!(moto.multiparts().unwrap(), 0);
    let error = S3::open(&config(moto.address(), "some", "")).await.err().unwrap().to_string();
    assert!(error.contains("not a registry's storage"), "{error}");
    let error = S3::open(&config::S3 { bucket: "nowhere".into(), ..config(moto.address(), "", "") }).await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn uploads_of_any_pieces_become_one_object() {
    let moto = Moto::start().unwrap();
    let storage = open(moto.address(), "", "part_size = '5MiB'").await;
    let other = open(moto.address(), "", "part_size = '5MiB'").await;
    let (upload, blob) = (Key::raw("uploads/a!/one"), Key::raw("blobs/sha256/00/one"));
    let whole = noise(1, 23 << 20);
    storage.upload_begin(&upload).await.unwrap();
    let mut at = 0;
    for (lane, size) in [100, 12 << 20, 3 << 20, 1, 7 << 20].into_iter().enumerate() {
        // each piece by another instance
        let storage = if lane % 2 == 0 { &storage } else { &other };
        let piece = whole.slice(at..at + size);
        at += size;
        assert_eq!(append(storage, &upload, (at - size) as u64, piece).await, at as u64);
    }
    let rest = whole.slice(at..);
    assert_eq!(append(&other, &upload, at as u64, rest).await, whole.len() as u64);
    let object = other.upload_open(&upload).await.unwrap().unwrap();
    let chunks: Vec<Bytes> = object.read(99..13 << 20).try_collect().await.unwrap();
    assert!(chunks.concat() == whole[99..13 << 20]);
    other.upload_finish(&upload, &blob).await.unwrap();
    assert!(read(&storage, &blob, 0..whole.len() as u64).await.unwrap() == whole);
    assert_eq!(moto.multiparts().unwrap(), 0);
    assert_eq!(moto.keys("").unwrap(), ["blobs/sha256/00/one", "format"]);
    // an object of several parts can be touched, and read by whoever has its URL
    assert!(storage.touch(&blob).await.unwrap());
    assert!(storage.location(&blob).await.unwrap().is_none());
    let storage = open(moto.address(), "", "redirect = true").await;
    let url = storage.location(&blob).await.unwrap().unwrap();
    assert!(url.contains("X-Amz-Signature=") && !url.contains("hush"), "{url}");
    let target = url.split_once(&moto.address().to_string()).unwrap().1;
    assert_eq!(moto.ask("GET", target, b"").unwrap(), String::from_utf8_lossy(&whole));
}

#[tokio::test]
async fn two_who_append_at_once_do_not_mix() {
    let moto = Moto::start().unwrap();
    let storage = open(moto.address(), "", "").await;
    let upload = Key::raw("uploads/a!/one");
    storage.upload_begin(&upload).await.unwrap();
    let mut one = storage.upload_append(&upload, 0).await.unwrap();
    let mut other = storage.upload_append(&upload, 0).await.unwrap();
    one.write(&[Bytes::from_static(b"one")]).await.unwrap();
    other.write(&[Bytes::from_static(b"other")]).await.unwrap();
    assert_eq!(one.close().await.unwrap(), 3);
    let error = other.close().await.unwrap_err();
    assert!(matches!(error, StorageError::Offset { size: 3, offset: 0 }), "{error}");
}

#[tokio::test]
async fn memory_is_bounded_by_smaller_parts() {
    let moto = Moto::start().unwrap();
    let storage = open(moto.address(), "", "buffers = '8MiB'").await;
    let uploads: Vec<_> = (0..4).map(|lane| Key::raw(&format!("uploads/a!/{lane}"))).collect();
    let mut ends = Vec::new();
    for upload in &uploads {
        storage.upload_begin(upload).await.unwrap();
        ends.push(storage.upload_append(upload, 0).await.unwrap());
    }
    for _ in 0..6 {
        for end in &mut ends {
            end.write(&[noise(3, 512 << 10)]).await.unwrap();
        }
    }
    let settled: u64 = ends.iter().map(|end| end.settled()).sum();
    // of 12 MiB, the buffers hold 8, and each end the piece that was written last
    assert!(settled >= 2 << 20, "{settled}");
    for (end, upload) in ends.into_iter().zip(&uploads) {
        assert_eq!(end.close().await.unwrap(), 3 << 20);
        let blob = Key::raw(&format!("blobs/sha256/00/{}", upload.as_str().rsplit('/').next().unwrap()));
        storage.upload_finish(upload, &blob).await.unwrap();
        assert!(read(&storage, &blob, 0..3 << 20).await.unwrap() == noise(3, 512 << 10).repeat(6));
    }
}

#[tokio::test]
async fn who_deletes_by_age_and_who_touches_see_each_other() {
    let moto = Moto::start().unwrap();
    let storage = Arc::new(open(moto.address(), "", "").await);
    let (blob, future) = (Key::raw("blobs/sha256/00/one"), SystemTime::now() + Duration::from_secs(3600));
    storage.put(&blob, Bytes::from_static(b"x")).await.unwrap();
    // somebody is about to delete it: a touch waits, and then it is gone
    let word = Key::condemned(&blob, "other");
    storage.bucket.put("condemn", word.as_str(), Bytes::new()).await.unwrap();
    let touching = tokio::spawn({
        let (storage, blob) = (Arc::clone(&storage), blob.clone());
        async move { storage.touch(&blob).await }
    });
    let putting = tokio::spawn({
        let (storage, blob) = (Arc::clone(&storage), Key::raw("blobs/sha256/00/two"));
        async move {
            let word = Key::condemned(&blob, "other");
            storage.bucket.put("condemn", word.as_str(), Bytes::new()).await?;
            let work = storage.put(&blob, Bytes::from_static(b"two"));
            let deleting = async {
                // it has been put, and waits
                while storage.stat(&blob).await?.is_none() {}
                storage.bucket.delete(blob.as_str()).await?;
                storage.bucket.delete(word.as_str()).await
            };
            tokio::try_join!(work, deleting)?;
            storage.get(&blob, 10).await
        }
    });
    // the touch has been, and asks for the word again and again
    let asked = || moto.log().matches("condemned/blobs/sha256/00/one").count();
    let before = asked();
    while asked() < before + 5 {
        tokio::task::yield_now().await;
    }
    assert!(!touching.is_finished());
    storage.bucket.delete(blob.as_str()).await.unwrap();
    storage.bucket.delete(word.as_str()).await.unwrap();
    assert!(!touching.await.unwrap().unwrap());
    // a put is done once more
    assert_eq!(putting.await.unwrap().unwrap().as_deref(), Some(&b"two"[..]));
    // and the other way round: nobody says anything, and it goes
    storage.put(&blob, Bytes::from_static(b"x")).await.unwrap();
    assert!(storage.delete_aged(&blob, future).await.unwrap());
    assert!(storage.stat(&blob).await.unwrap().is_none());
    assert!(moto.keys("condemned").unwrap().is_empty());
}

#[tokio::test]
async fn a_touch_between_word_and_age_is_seen() {
    let moto = Moto::start().unwrap();
    let way = Way::to(moto.address()).unwrap();
    let (slow, storage) = (open(way.address(), "", "").await, open(moto.address(), "", "").await);
    let blob = Key::raw("blobs/sha256/00/one");
    storage.put(&blob, Bytes::from_static(b"x")).await.unwrap();
    let cutoff = storage.stat(&blob).await.unwrap().unwrap().modified + Duration::from_secs(1);
    // stores tell ages in seconds: the touch must lie in another one
    while SystemTime::now() < cutoff + Duration::from_secs(1) {
        tokio::task::yield_now().await;
    }
    // its first look finds it old; then comes the word, and before the second look the touch
    let (looks, at) = (Arc::new(AtomicUsize::new(0)), moto.address());
    way.judge(move |request| {
        if request.method == "HEAD" && looks.fetch_add(1, Ordering::SeqCst) == 1 {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async {
                    let storage = open(at, "", "").await;
                    let blob = Key::raw("blobs/sha256/00/one");
                    storage.bucket.copy("touch", blob.as_str(), blob.as_str()).await.unwrap();
                });
            })
            .join()
            .unwrap();
        }
        Turn::Pass
    });
    assert!(!slow.delete_aged(&blob, cutoff).await.unwrap());
    assert!(storage.stat(&blob).await.unwrap().is_some());
    assert!(moto.keys("condemned").unwrap().is_empty());
}

/// Every `nth` request has this turn.
fn every(
    nth: usize,
    turn: Turn,
) -> impl Fn(&e2e::registry::listener::Request) -> Turn + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |_| if count.fetch_add(1, Ordering::SeqCst) % nth == nth - 1 { turn } else { Turn::Pass }
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let moto = Moto::start().unwrap();
    let way = Way::to(moto.address()).unwrap();
    let storage = open(way.address(), "", "part_size = '5MiB'").await;
    let whole = noise(2, 12 << 20);
    let turns = [
        Turn::Refuse(503, "SlowDown"),
        Turn::Refuse(500, "InternalError"),
        Turn::Drop,
        Turn::Mute,
        Turn::Cut(10),
    ];
    for (at, turn) in turns.into_iter().enumerate() {
        way.judge(every(3, turn));
        let (upload, blob) =
            (Key::raw(&format!("uploads/a!/{at}")), Key::raw(&format!("blobs/sha256/00/{at}")));
        storage.upload_begin(&upload).await.unwrap();
        append(&storage, &upload, 0, whole.slice(..7 << 20)).await;
        append(&storage, &upload, 7 << 20, whole.slice(7 << 20..)).await;
        storage.upload_finish(&upload, &blob).await.unwrap();
        assert!(read(&storage, &blob, 0..whole.len() as u64).await.unwrap() == whole, "{turn:?}");
        assert!(storage.touch(&blob).await.unwrap());
        assert_eq!(storage.list(&Prefix::raw("blobs/sha256/00"), None, 10).await.unwrap().len(), at + 1);
        way.judge(|_| Turn::Pass);
        assert!(moto.keys("uploads").unwrap().is_empty(), "{turn:?}");
    }
    // an attempt to begin whose answer was lost is one more multipart upload: that is what the sweep is for
    storage.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(moto.multiparts().unwrap(), 0);
}

#[tokio::test]
async fn what_does_not_pass_is_said_and_nothing_is_half_made() {
    let moto = Moto::start().unwrap();
    let way = Way::to(moto.address()).unwrap();
    let storage = open(way.address(), "", "part_size = '5MiB'").await;
    let (upload, blob) = (Key::raw("uploads/a!/one"), Key::raw("blobs/sha256/00/one"));
    storage.upload_begin(&upload).await.unwrap();
    append(&storage, &upload, 0, noise(4, 6 << 20)).await;
    append(&storage, &upload, 6 << 20, noise(5, 5 << 20)).await;
    // a store that copies no parts until the end of time
    way.judge(|request| match request.target.contains("partNumber=2") {
        true => Turn::Refuse(503, "SlowDown"),
        false => Turn::Pass,
    });
    let error = storage.upload_finish(&upload, &blob).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("SlowDown") && text.contains("6 times") && !text.contains("Signature"), "{text}");
    assert!(storage.stat(&blob).await.unwrap().is_none());
    assert_eq!(moto.multiparts().unwrap(), 0);
    // who may not is told at once
    way.judge(|_| Turn::Refuse(403, "AccessDenied"));
    let error = storage.put(&blob, Bytes::new()).await.unwrap_err().to_string();
    assert!(error.contains("AccessDenied") && !error.contains("times"), "{error}");
    // a listing that is cut is no short listing
    way.judge(|request| if request.target.contains("list-type") { Turn::Cut(200) } else { Turn::Pass });
    let error = storage.list(&Prefix::raw("uploads"), None, 10).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    // a blob that always breaks off ends as an error, with what came before
    way.judge(|_| Turn::Pass);
    storage.upload_finish(&upload, &blob).await.unwrap();
    way.judge(|request| if request.method == "GET" { Turn::Cut(0) } else { Turn::Pass });
    let error = read(&storage, &blob, 0..11 << 20).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn what_killed_instances_leave_is_swept() {
    let moto = Moto::start().unwrap();
    let storage = open(moto.address(), "deep/down", "").await;
    let upload = Key::raw("uploads/a!/one");
    storage.upload_begin(&upload).await.unwrap();
    append(&storage, &upload, 0, noise(5, 100)).await;
    moto.ask("POST", "/images/deep/down/blobs/sha256/00/x?uploads", b"").unwrap();
    moto.ask("POST", "/images/elsewhere?uploads", b"").unwrap();
    moto.ask("PUT", "/images/deep/down/uploads/a!/two/0000000000000000", b"x").unwrap();
    // moto says of every multipart upload that it was begun in 2010
    assert_eq!(storage.sweep(Duration::from_secs(3600)).await.unwrap(), 1);
    assert_eq!(moto.multiparts().unwrap(), 1);
    assert_eq!(storage.sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(storage.upload_stat(&upload).await.unwrap().unwrap().size, 100);
    assert_eq!(moto.keys("deep/down/uploads").unwrap().len(), 2);
}

/// Signs anew what was signed, with AWS's own library for Python.
const CHECK: &str = r#"
import json, sys
from urllib.parse import urlsplit, parse_qs
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for line in sys.stdin:
    one = json.loads(line)
    given = parse_qs(urlsplit(one["url"]).query)
    url = one["url"][:one["url"].index("&X-Amz-Signature=")]
    request = AWSRequest(method=one["method"], url=url, headers=one["headers"])
    request.context["timestamp"] = given["X-Amz-Date"][0]
    auth = S3SigV4QueryAuth(Credentials("test", "hush"), "s3", "us-east-1", 900)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert [signature] == given["X-Amz-Signature"], (one, signature)
    print("good")
"#;

#[test]
fn signatures_are_those_of_another_implementation() {
    let address = "127.0.0.1:9000".parse().unwrap();
    let bucket = Bucket::new(&config(address, "some/where", "")).unwrap();
    let asks = [
        Ask::new("read", Method::GET, Key::raw("repositories/a+b-c!/tags/v1.0_x").to_string()),
        Ask::new("list", Method::GET, None)
            .query("prefix", "some/where/a+b!/")
            .query("delimiter", "/")
            .query("uploads", "")
            .query("start-after", "x y&z=~"),
        Ask::new("copy", Method::PUT, "a+b!/c".to_owned())
            .header("x-amz-metadata-directive", "REPLACE")
            .header("x-amz-copy-source", bucket.source("a+b!/c"))
            .header("if-none-match", "*"),
        Ask::new("delete", Method::DELETE, "x".to_owned()),
    ];
    let mut lines = String::new();
    for ask in &asks {
        let headers = ask.headers.iter().filter(|(name, _)| name.starts_with("x-amz-"));
        let mut headers: std::collections::BTreeMap<_, _> =
            headers.map(|(name, value)| (*name, value.as_str())).collect();
        headers.insert("host", "127.0.0.1:9000");
        let url = bucket.sign(ask, Duration::from_secs(900));
        let line = serde_json::json!({ "method": ask.method.as_str(), "url": url, "headers": headers });
        lines += &format!("{line}\n");
    }
    let mut python = std::process::Command::new(e2e::programs::python().unwrap());
    let ran = e2e::programs::run_with(python.args(["-c", CHECK]), lines.as_bytes(), e2e::programs::PATIENCE);
    assert_eq!(ran.unwrap().ok().unwrap().matches("good").count(), asks.len());
}

#[tokio::test]
async fn a_store_behind_tls_needs_an_authority_that_is_trusted() {
    use e2e::registry::tls::{Authority, serving};
    let moto = Moto::start().unwrap();
    let authority = Authority::new().unwrap();
    let pair = authority.issue("store", "IP:127.0.0.1", 2).unwrap();
    let way = Way::over(moto.address(), Some(serving(&pair).unwrap())).unwrap();
    let endpoint = Some(format!("https://{}", way.address()));
    let with = |ca| config::S3 { endpoint: endpoint.clone(), ca, ..config(moto.address(), "", "") };
    let error = S3::open(&with(None)).await.err().unwrap().to_string();
    assert!(error.contains("unknown authority"), "{error}");
    let storage = S3::open(&with(Some(authority.certificate()))).await.unwrap();
    let key = Key::raw("blobs/sha256/00/one");
    storage.put(&key, noise(7, 3 << 20)).await.unwrap();
    assert!(read(&storage, &key, 0..3 << 20).await.unwrap() == noise(7, 3 << 20));
}
