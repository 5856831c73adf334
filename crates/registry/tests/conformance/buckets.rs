//! A registry of two instances on one bucket of an object store.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::registry::moto::{Moto, Turn, Way};
use registry::server::config::Seconds;
use registry::server::{Registry, storage};

use crate::garbage::{Client, digests, read_all, run};
use crate::support::{MANIFEST, Running, bytes, registry_in, registry_with, sha256};

fn instance(at: SocketAddr, storage: &str, more: &str) -> Running {
    registry_in(&Moto::storage(at, "", storage), more, |_| {})
}

/// Two of them, and their store.
fn two(storage: &str, more: &str) -> (Moto, Running, Running) {
    let moto = Moto::start().unwrap();
    let (one, other) = (instance(moto.address(), storage, more), instance(moto.address(), storage, more));
    (moto, one, other)
}

#[test]
fn two_instances_are_one_registry() {
    let (moto, one, other) = two("part_size = '5MiB'", "");
    // begun here, gone on with there, finished here
    let content = bytes(1, 13_000_000);
    let (digest, location) = (sha256(&content), one.upload("team/a"));
    let range = |at: usize, end: usize| format!("{at}-{}", end - 1);
    for (running, at, end) in [(&one, 0, 100), (&other, 100, 7_000_000), (&one, 7_000_000, 12_000_000)] {
        let header = [("Content-Range", &*range(at, end))];
        let reply = running.ask("PATCH", &location, &header, &content[at..end]).is(202);
        assert_eq!(reply.header("range"), Some(&*range(0, end)));
        assert_eq!(other.get(&location).is(204).header("range"), Some(&*range(0, end)));
        // what is there already is refused, with the place to go on from
        let reply = other.ask("PATCH", &location, &header, &content[at..end]).is(416);
        assert_eq!(reply.header("range"), Some(&*range(0, end)));
    }
    one.ask("PUT", &format!("{location}?digest={digest}"), &[], &content[12_000_000..]).is(201);
    other.get(&location).is(404);
    let path = format!("/v2/team/a/blobs/{digest}");
    assert!(other.get(&path).is(200).body == content);
    let part = other.ask("GET", &path, &[("Range", "bytes=6999999-7000001")], b"").is(206);
    assert_eq!(part.body, content[6_999_999..=7_000_001]);
    assert_eq!(other.head(&path).is(200).header("content-length"), Some("13000000"));
    // another digest: nothing is left
    let location = other.upload("team/a");
    other.ask("PATCH", &location, &[], b"something").is(202);
    let reply = one.ask("PUT", &format!("{location}?digest={digest}"), &[], b"else").is(400);
    assert_eq!(reply.code(), "DIGEST_INVALID");
    // a mount is a link
    let blobs = moto.keys("blobs").unwrap();
    other.ask("POST", &format!("/v2/b/blobs/uploads/?mount={digest}&from=team/a"), &[], b"").is(201);
    assert_eq!(moto.keys("blobs").unwrap(), blobs);
    assert!(one.get(&format!("/v2/b/blobs/{digest}")).is(200).body == content);
    // manifests, tags, and their end
    let first = one.tagged("team/a", "v1", 1);
    other.tagged("b", "v1", 1);
    let tagged = other.get("/v2/team/a/manifests/v1").is(200);
    assert_eq!(tagged.header("docker-content-digest"), Some(&*first));
    for tag in ["v2", "v1-x", "v10", "v1.0"] {
        other.put("team/a", tag, MANIFEST, &tagged.body).is(201);
    }
    let mut names = Vec::new();
    let mut next = Some("/v2/team/a/tags/list?n=2".to_owned());
    while let Some(path) = next {
        let page = one.get(&path).is(200);
        names.extend(
            page.json()["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()),
        );
        let link = page.header("link").map(|link| link.trim_start_matches('<').split('>').next().unwrap());
        next = link.map(str::to_owned);
    }
    assert_eq!(names, ["v1", "v1-x", "v1.0", "v10", "v2"]);
    assert_eq!(one.get("/v2/_catalog").is(200).json()["repositories"], serde_json::json!(["b", "team/a"]));
    other.ask("DELETE", &format!("/v2/team/a/manifests/{first}"), &[], b"").is(202);
    one.get("/v2/team/a/manifests/v1").is(404);
    one.get("/v2/b/manifests/v1").is(200);
    assert!(moto.keys("uploads").unwrap().is_empty());
    assert_eq!(moto.multiparts().unwrap(), 0);
}

#[test]
fn many_clients_push_the_same_blob_to_two_instances() {
    let (moto, one, other) = two("", "");
    let content = bytes(2, 2_000_000);
    let digest = sha256(&content);
    thread::scope(|scope| {
        for lane in 0..6 {
            let (running, content, digest) = ([&one, &other][lane % 2], &content, &digest);
            scope.spawn(move || {
                let location = running.upload("a");
                running.ask("PATCH", &location, &[], &content[..lane * 200_000]).is(202);
                let path = format!("{location}?digest={digest}");
                running.ask("PUT", &path, &[], &content[lane * 200_000..]).is(201);
                assert!(&running.get(&format!("/v2/a/blobs/{digest}")).is(200).body == content);
            });
        }
    });
    assert_eq!(moto.keys("blobs").unwrap().len(), 1);
    assert!(moto.keys("uploads").unwrap().is_empty());
}

#[test]
fn pulls_are_sent_to_the_store() {
    let (moto, one, other) = two("redirect = true", "");
    let content = bytes(3, 100_000);
    let digest = one.blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    let reply = other.get(&path).is(307);
    let target = reply.location().strip_prefix(&format!("http://{}", moto.address())).unwrap();
    assert_eq!(moto.ask("GET", target, b"").unwrap(), String::from_utf8_lossy(&content));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(other.head(&path).is(200).header("content-length"), Some("100000"));
    one.get(&format!("/v2/b/blobs/{digest}")).is(404);
}

#[test]
fn quotas_and_retention_count_what_the_other_instance_took() {
    let more = "[[quotas]]\nrepositories = ['small']\nbytes = 40000\n[[retention]]\nrepositories = ['few']\nkeep_last = 2\n";
    let (_moto, one, other) = two("", more);
    one.tagged("small", "v1", 1);
    let manifest = other.image("small", 2);
    let mut taken = 1;
    let refused = (3..40).map(|seed| other.image("small", seed)).chain([manifest]).find_map(|manifest| {
        let reply = other.put("small", "next", MANIFEST, &manifest);
        taken += u32::from(reply.status == 201);
        (reply.status != 201).then_some(reply)
    });
    assert_eq!(refused.unwrap().is(403).code(), "DENIED");
    assert!(taken > 1);
    for (seed, tag) in ["c", "b", "a"].iter().enumerate() {
        [&one, &other][seed % 2].tagged("few", tag, seed as u64);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(registry::server::retention::apply(&other.registry)).unwrap();
    assert_eq!(one.get("/v2/few/tags/list").is(200).json()["tags"], serde_json::json!(["a", "b"]));
}

#[test]
fn a_cache_keeps_what_it_fetches_in_a_bucket() {
    let origin = registry_with("", |_| {});
    let digest = origin.tagged("team/a", "v1", 4);
    let content = bytes(5, 12_000_000);
    let blob = origin.blob("team/a", &content);
    let moto = Moto::start().unwrap();
    let upstream = format!("[upstream]\nregistry = '{}'\n", origin.address);
    let cache = instance(moto.address(), "part_size = '5MiB'", &upstream);
    cache.get(&format!("/v2/team/a/manifests/{digest}")).is(200);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                assert!(cache.get(&format!("/v2/team/a/blobs/{blob}")).is(200).body == content);
            });
        }
    });
    drop(origin);
    assert!(cache.get(&format!("/v2/team/a/blobs/{blob}")).is(200).body == content);
    // the blob can be read a moment before the note of its upload is gone
    let is_clean = || Ok(moto.keys("uploads").unwrap().is_empty().then_some(()));
    e2e::programs::eventually("the upload's note is gone", is_clean).unwrap();
}

#[test]
fn a_store_that_does_not_answer_is_told_to_clients_and_costs_nothing() {
    let moto = Moto::start().unwrap();
    let way = Way::to(moto.address()).unwrap();
    let running = instance(way.address(), "part_size = '5MiB'", "");
    let content = bytes(6, 6_000_000);
    let digest = sha256(&content);
    let location = running.upload("a");
    way.judge(|request| if request.method == "PUT" { Turn::Refuse(503, "SlowDown") } else { Turn::Pass });
    let reply = running.ask("PATCH", &location, &[], &content).is(503);
    assert_eq!(reply.code(), "UNAVAILABLE");
    assert!(!String::from_utf8_lossy(&reply.body).contains("SlowDown"));
    // in the middle of a part
    way.judge(|request| if request.method == "PUT" { Turn::Drop } else { Turn::Pass });
    running.ask("PATCH", &location, &[], &content).is(503);
    way.judge(|_| Turn::Pass);
    assert_eq!(running.get(&location).is(204).header("range"), Some("0-0"));
    running.ask("PUT", &format!("{location}?digest={digest}"), &[], &content).is(201);
    // a connection that is cut in the middle of an answer is gone on with where it was
    way.judge(|request| if request.method == "GET" { Turn::Cut(4_000_000) } else { Turn::Pass });
    assert!(running.get(&format!("/v2/a/blobs/{digest}")).is(200).body == content);
    assert_eq!(moto.keys("blobs").unwrap().len(), 1);
}

/// The grace period of the storm: a store in Python, with all other tests beside it, is slow.
const GRACE: Duration = Duration::from_secs(5);

/// How long the storm lasts at least.
fn storm() -> Duration {
    let seconds = std::env::var("BERTH_GC_SECONDS").ok().map_or(12, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// How long it may last until something was collected.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn clients_push_pull_and_delete_while_two_instances_collect() {
    let grace = format!("[gc]\ngrace = '{}s'\n", GRACE.as_secs());
    let (moto, first, second) = two("", &grace);
    let began = Instant::now();
    let (collected, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let is_over = || {
        let enough = collected.load(Ordering::Relaxed) > 0 || began.elapsed() > PATIENCE;
        began.elapsed() > storm() && enough
    };
    let clients = thread::scope(|scope| {
        for running in [&first, &second] {
            let (over, collected) = (&over, &collected);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let report = run(&running.registry);
                    assert_eq!(report.damaged, 0);
                    collected.fetch_add(report.blobs, Ordering::Relaxed);
                }
            });
        }
        let clients = [0, 1, 2, 3].map(|lane| {
            let client = Client::new(lane, [first.address, second.address], GRACE);
            scope.spawn(move || client.work(is_over))
        });
        let clients = clients.map(thread::ScopedJoinHandle::join);
        over.store(true, Ordering::Relaxed);
        clients.map(Result::unwrap)
    });
    let sum = |of: fn(&Client) -> u64| clients.iter().map(of).sum::<u64>();
    let (pushes, pulls, late) = (sum(|one| one.pushes), sum(|one| one.pulls), sum(|one| one.late));
    let collected = collected.into_inner();
    println!("{pushes} pushes, {pulls} pulls, {late} too late, {collected} blobs were collected meanwhile");
    assert!(pushes > 0 && collected > 0);
    exhaust(&first.registry, &moto, &clients);
    assert_eq!(kept(&moto), read_all(&clients));
    assert!(moto.keys("uploads").unwrap().is_empty() && moto.keys("condemned").unwrap().is_empty());
}

/// The digests of all bytes that are kept.
fn kept(moto: &Moto) -> BTreeSet<String> {
    let keys = moto.keys("blobs").unwrap();
    keys.iter().map(|key| format!("sha256:{}", key.rsplit('/').next().unwrap())).collect()
}

/// Collects until nothing is left but what is of use: one more instance, which has served nobody and for which two seconds
/// are enough.
fn exhaust(registry: &Registry, moto: &Moto, clients: &[Client]) {
    let mut config = registry.config.clone();
    config.gc.grace = Seconds(Duration::from_secs(2));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = runtime.block_on(storage::open(&config.storage)).unwrap();
    let stranger = Registry::new(config, storage).unwrap();
    let live = || clients.iter().flat_map(|client| &client.live);
    let wanted: BTreeSet<_> =
        live().flat_map(|(digest, bytes)| digests(bytes).into_iter().chain([digest.clone()])).collect();
    let since = Instant::now();
    while kept(moto) != wanted && since.elapsed() < PATIENCE {
        run(&stranger);
    }
}
