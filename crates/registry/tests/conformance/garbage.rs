//! Garbage collection beside everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use registry::server::Registry;
use registry::server::gc::{Report, collect};
use registry::server::storage::Files;
use serde_json::{Value, json};

use crate::support::{INDEX, MANIFEST, Running, ask, bytes, descriptor, registry, registry_with, sha256};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// One more instance on the same storage, which has served nobody.
fn stranger(running: &Running) -> Registry {
    let path = running.registry.config.storage.path.as_ref().unwrap();
    let files = Files::open(path).unwrap();
    Registry::new(running.registry.config.clone(), Arc::new(files)).unwrap()
}

pub(crate) fn run(registry: &Registry) -> Report {
    tokio::runtime::Runtime::new().unwrap().block_on(collect(registry)).unwrap()
}

/// As if nothing had been put or touched for two days.
pub(crate) fn age(running: &Running) {
    let then = SystemTime::now() - 48 * HOUR;
    for path in running.files("blobs").into_iter().chain(running.files("repositories")) {
        File::open(path).unwrap().set_modified(then).unwrap();
    }
}

/// Collects until there is no more to collect, though links must go a grace period before bytes.
fn exhaust(running: &Running) -> Report {
    let mut sum = Report::default();
    for _ in 0..2 {
        age(running);
        let report = run(&stranger(running));
        sum.blobs += report.blobs;
        sum.links += report.links;
        sum.bytes += report.bytes;
    }
    sum
}

/// The digests of all bytes that are kept.
fn kept(running: &Running) -> BTreeSet<String> {
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    running.files("blobs").iter().map(|path| format!("sha256:{}", name(path))).collect()
}

pub(crate) fn digests(manifest: &[u8]) -> Vec<String> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.chain([&manifest["config"]]).map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_manifests_refer_to_stays_and_the_rest_goes() {
    let running = registry();
    let (first, second) = (running.image("a", 1), running.image("a", 2));
    running.put("a", &sha256(&first), MANIFEST, &first).is(201);
    running.put("b", "v1", MANIFEST, &running.image("b", 2)).is(201);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(MANIFEST, &first)]});
    let index = index.to_string().into_bytes();
    running.put("a", "all", INDEX, &index).is(201);
    let signature = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "x/signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": descriptor(MANIFEST, &first),
    });
    running.blob("a", b"{}");
    let signature = signature.to_string().into_bytes();
    running.put("a", &sha256(&signature), MANIFEST, &signature).is(201);
    let lonely = running.blob("a", b"nobody refers to this");
    let expected: BTreeSet<String> = [&first, &second, &index, &signature]
        .into_iter()
        .map(|one| sha256(one))
        .chain(digests(&first))
        .chain(digests(&second))
        .chain([sha256(b"{}")])
        .collect();
    // the second image's blobs are of use in b only
    let report = exhaust(&running);
    assert_eq!((report.blobs, report.links), (1, 3));
    assert_eq!(report.bytes, 21);
    assert_eq!(kept(&running), expected);
    running.get(&format!("/v2/a/blobs/{lonely}")).is(404);
    for digest in digests(&second) {
        running.get(&format!("/v2/a/blobs/{digest}")).is(404);
        running.get(&format!("/v2/b/blobs/{digest}")).is(200);
    }
    // and when the manifests go, everything does
    for (name, manifest) in [("a", &first), ("a", &index), ("a", &signature), ("b", &second)] {
        running.ask("DELETE", &format!("/v2/{name}/manifests/{}", sha256(manifest)), &[], b"").is(202);
    }
    exhaust(&running);
    assert!(kept(&running).is_empty() && running.files("repositories").is_empty());
}

#[test]
fn what_is_young_or_in_use_stays() {
    let running = registry();
    let digest = running.blob("a", b"content");
    assert_eq!(run(&stranger(&running)).links, 0);
    age(&running);
    // whoever is told that a blob is there can rely on it, whichever instance collects
    running.head(&format!("/v2/a/blobs/{digest}")).is(200);
    assert_eq!(run(&stranger(&running)).links, 0);
    age(&running);
    assert_eq!(run(&running.registry).links, 0);
    // who has just pulled a manifest that is deleted pulls the rest
    let manifest = running.image("a", 1);
    running.put("a", "v1", MANIFEST, &manifest).is(201);
    age(&running);
    running.ask("DELETE", &format!("/v2/a/manifests/{}", sha256(&manifest)), &[], b"").is(202);
    run(&stranger(&running));
    for digest in digests(&manifest) {
        running.get(&format!("/v2/a/blobs/{digest}")).is(200);
    }
    // an old blob that is uploaded again is a young one
    exhaust(&running);
    running.blob("a", b"content");
    age(&running);
    running.blob("a", b"content");
    assert_eq!(run(&stranger(&running)).links, 0);
}

#[test]
fn a_damaged_manifest_keeps_all_of_its_repository() {
    let running = registry();
    let manifest = running.image("a", 1);
    running.put("a", "v1", MANIFEST, &manifest).is(201);
    running.blob("b", b"elsewhere");
    let hex = sha256(&manifest)["sha256:".len()..].to_owned();
    let file = running.files("blobs").into_iter().find(|path| path.ends_with(&hex)).unwrap();
    fs::write(file, "{").unwrap();
    age(&running);
    let report = run(&stranger(&running));
    assert_eq!((report.damaged, report.links), (1, 1));
    assert_eq!(exhaust(&running).blobs, 1);
    for digest in digests(&manifest) {
        running.get(&format!("/v2/a/blobs/{digest}")).is(200);
    }
    // pushed again, it is whole
    running.put("a", "v1", MANIFEST, &manifest).is(201);
    assert_eq!(run(&stranger(&running)).damaged, 0);
}

/// The grace period of the storm: at least this, and far longer than a push takes on this machine, whatever else it does.
const GRACE: Duration = Duration::from_secs(2);

/// So many times what one push takes beside others.
const PUSHES: u32 = 30;

/// How long a push takes just now, with as many clients as there will be.
fn push_time() -> Duration {
    let running = registry();
    let begin = Instant::now();
    thread::scope(|scope| {
        for lane in 0..4 {
            let mut client = Client::new(lane, [running.address; 2], HOUR);
            scope.spawn(move || client.push(0));
        }
    });
    begin.elapsed()
}

/// How long the storm lasts.
fn storm() -> Duration {
    let seconds = std::env::var("BERTH_GC_SECONDS").ok().map_or(8, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Reads everything that must be there, byte by byte; gives the digests of it all.
pub(crate) fn read_all(clients: &[Client]) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for client in clients {
        for (digest, manifest) in &client.live {
            assert_eq!(&client.ask("GET", &format!("manifests/{digest}"), b"").is(200).body, manifest);
            expected.insert(digest.clone());
            for blob in digests(manifest) {
                let reply = client.ask("GET", &format!("blobs/{blob}"), b"").is(200);
                assert_eq!(sha256(&reply.body), blob);
                expected.insert(blob);
            }
        }
    }
    expected
}

/// Pushes, pulls and deletes, and knows what must be there.
pub(crate) struct Client {
    lane: u64,
    address: SocketAddr,
    name: &'static str,
    other: &'static str,
    grace: Duration,
    pub(crate) live: BTreeMap<String, Vec<u8>>,
    pub(crate) pulls: u64,
    pub(crate) pushes: u64,
    pub(crate) late: u64,
}

impl Client {
    /// The client of a lane, at one of two instances.
    pub(crate) fn new(lane: u64, instances: [SocketAddr; 2], grace: Duration) -> Self {
        let address = instances[usize::from(lane % 2 == 1)];
        let (name, other) = if lane < 2 { ("a", "b/c") } else { ("b/c", "a") };
        Self { lane, address, name, other, grace, live: BTreeMap::new(), pulls: 0, pushes: 0, late: 0 }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> crate::support::Reply {
        let headers: &[_] = if method == "PUT" { &[("Content-Type", MANIFEST)] } else { &[] };
        ask(self.address, method, &format!("/v2/{}/{path}", self.name), headers, body)
    }

    /// As docker pushes: looks, mounts, uploads.
    fn blob(&self, content: &[u8]) -> Value {
        let digest = sha256(content);
        if self.ask("HEAD", &format!("blobs/{digest}"), b"").status != 200 {
            let mount = format!("blobs/uploads/?mount={digest}&from={}", self.other);
            let reply = self.ask("POST", &mount, b"");
            if reply.status != 201 {
                let path = format!("{}?digest={digest}", reply.is(202).location());
                ask(self.address, "PUT", &path, &[], content).is(201);
            }
        }
        descriptor("x/y", content)
    }

    fn push(&mut self, round: u64) {
        let began = Instant::now();
        // some layers are in everybody's images, and now and then in nobody's
        let shared = bytes(round % 7, 30_000);
        let layers = [self.blob(&shared), self.blob(&bytes(1000 + self.lane * 100_000 + round, 5_000))];
        let config = self.blob(format!("{{\"lane\":{},\"round\":{round}}}", self.lane).as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
        let tag = format!("manifests/c{}-{}", self.lane, round % 5);
        let reply = self.ask("PUT", &tag, manifest.as_bytes());
        if reply.status != 201 && began.elapsed() > self.grace / 2 {
            self.late += 1;
            return;
        }
        reply.is(201);
        self.pushes += 1;
        self.live.insert(sha256(manifest.as_bytes()), manifest.clone().into_bytes());
        let pulled = self.ask("GET", &tag, b"").is(200);
        assert_eq!(sha256(&pulled.body), sha256(manifest.as_bytes()));
        self.pull(&pulled.body, None);
    }

    fn pull(&mut self, manifest: &[u8], since: Option<Instant>) {
        for digest in digests(manifest) {
            let reply = self.ask("GET", &format!("blobs/{digest}"), b"");
            if reply.status != 200 && since.is_some_and(|since| since.elapsed() > self.grace) {
                self.late += 1;
                return;
            }
            assert_eq!(sha256(&reply.is(200).body), digest);
        }
        self.pulls += 1;
    }

    pub(crate) fn work(mut self, is_over: impl Fn() -> bool) -> Self {
        for round in 0.. {
            if is_over() {
                break;
            }
            self.push(round);
            let nth = usize::try_from(round * 7).unwrap() % self.live.len().max(1);
            if let Some((digest, expected)) = self.live.clone().into_iter().nth(nth) {
                let manifest = self.ask("GET", &format!("manifests/{digest}"), b"").is(200).body;
                assert_eq!(manifest, expected);
                let is_last = self.live.len() > 4;
                let since = is_last.then(Instant::now);
                if is_last {
                    self.ask("DELETE", &format!("manifests/{digest}"), b"").is(202);
                    self.live.remove(&digest);
                }
                self.pull(&manifest, since);
            }
            // given up before the manifest
            self.blob(&bytes(7_000_000 + self.lane * 100_000 + round, 3_000));
        }
        self
    }
}

#[test]
fn clients_push_pull_and_delete_while_two_instances_collect() {
    let grace = Duration::from_secs((push_time() * PUSHES).max(GRACE).as_secs());
    let config = format!("[gc]\ngrace = '{}s'\n", grace.as_secs());
    let first = registry_with(&config, |_| {});
    let data = first.dir.path().join("data");
    let second = registry_with(&config, |dir| std::os::unix::fs::symlink(data, dir.join("data")).unwrap());
    // the first garbage is as old as two grace periods
    let end = Instant::now() + storm().max(grace * 3);
    let over = AtomicBool::new(false);
    let (clients, reports) = thread::scope(|scope| {
        let collectors = [&first, &second].map(|running| {
            let over = &over;
            scope.spawn(move || {
                let mut sum = (0_u64, Report::default());
                while !over.load(Ordering::Relaxed) {
                    let report = run(&running.registry);
                    sum.0 += 1;
                    sum.1.links += report.links;
                    sum.1.blobs += report.blobs;
                    assert_eq!(report.damaged, 0);
                }
                sum
            })
        });
        let clients = [0, 1, 2, 3].map(|lane| {
            let client = Client::new(lane, [first.address, second.address], grace);
            scope.spawn(move || client.work(|| Instant::now() > end))
        });
        let clients = clients.map(thread::ScopedJoinHandle::join);
        over.store(true, Ordering::Relaxed);
        let reports = collectors.map(|collector| collector.join().unwrap());
        (clients.map(Result::unwrap), reports)
    });
    let sum = |of: fn(&Client) -> u64| clients.iter().map(of).sum::<u64>();
    let (pushes, pulls, late) = (sum(|one| one.pushes), sum(|one| one.pulls), sum(|one| one.late));
    println!("{pushes} pushes, {pulls} pulls, {late} too late; passes and what they collected: {reports:?}");
    assert!(late * 10 < pushes, "{late} of {pushes} pushes took longer than the grace period allows");
    assert!(reports.iter().any(|(_, report)| report.blobs > 0), "nothing was collected meanwhile");
    // nothing that is of use was lost, and everything else is gone
    exhaust(&first);
    assert_eq!(kept(&first), read_all(&clients));
    assert!(first.files("uploads").is_empty() && first.files("tmp").is_empty());
}
