//! A registry in this process, and a client that does as it is told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use registry::server::config::Config;
use registry::server::{Registry, Server, storage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A registry that ends with this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) dir: TempDir,
    pub(crate) registry: Arc<Registry>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    authorization: Option<String>,
}

/// One with the least configuration.
pub(crate) fn registry() -> Running {
    registry_with("", |_| {})
}

/// One with more configuration, whose files `prepare` writes.
pub(crate) fn registry_with(more: &str, prepare: impl FnOnce(&Path)) -> Running {
    registry_of("", more, prepare)
}

/// One with more configuration of its storage, too.
pub(crate) fn registry_of(storage: &str, more: &str, prepare: impl FnOnce(&Path)) -> Running {
    registry_in(&format!("[storage]\npath = 'data'\n{storage}"), more, prepare)
}

/// One on any storage.
pub(crate) fn registry_in(storage: &str, more: &str, prepare: impl FnOnce(&Path)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let http = "[log]\nrequests = false\n[http]\nlisten = '127.0.0.1:0'";
    let text = format!("{storage}{http}\n{more}");
    let config = Config::parse(&text, &dir.path().join("registry.toml")).unwrap();
    let (told, hear) = std::sync::mpsc::channel();
    let (end, ended) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let storage = storage::open(&config.storage).await.unwrap();
            let registry = Arc::new(Registry::new(config, storage).unwrap());
            let server = Server::bind(Arc::clone(&registry)).await.unwrap();
            told.send((server.address().unwrap(), registry)).unwrap();
            server.serve(async { drop(ended.await) }).await;
        });
    });
    let (address, registry) = hear.recv().unwrap();
    Running { address, dir, registry, end: Some(end), thread: Some(thread), authorization: None }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end.take().map(|end| end.send(()));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the error, in a body as the specification has it.
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        let error = &body["errors"][0];
        assert!(error["message"].is_string(), "{body}");
        error["code"].as_str().unwrap().to_owned()
    }

    /// That it has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn read(text: &[u8]) -> Self {
        let mut rest = text;
        loop {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
            let head = std::str::from_utf8(&rest[..end]).unwrap();
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            rest = &rest[end + 4..];
            if status == 100 {
                continue;
            }
            let headers = lines
                .map(|line| {
                    let (name, value) = line.split_once(':').unwrap();
                    (name.trim().to_owned(), value.trim().to_owned())
                })
                .collect();
            return Self { status, headers, body: rest.to_vec() };
        }
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n");
    let sized = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !sized && (!body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")) {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request, and reads to the end of what comes.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut stream = connect(address);
    // a server that refuses early may stop reading
    drop(stream.write_all(&request(method, path, headers, body)));
    let mut text = Vec::new();
    if let Err(error) = stream.read_to_end(&mut text) {
        assert!(!text.is_empty(), "{error}");
    }
    Reply::read(&text)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Bytes that are the same each time and don't repeat soon.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

impl Running {
    /// Signs in with each request from now on.
    pub(crate) fn signed_in(mut self, authorization: &str) -> Self {
        self.authorization = Some(authorization.to_owned());
        self
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut headers = headers.to_vec();
        headers.extend(self.authorization.as_deref().map(|text| ("Authorization", text)));
        ask(self.address, method, path, &headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn head(&self, path: &str) -> Reply {
        self.ask("HEAD", path, &[], b"")
    }

    /// Uploads a blob.
    pub(crate) fn blob(&self, name: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.ask("POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), &[], bytes).is(201);
        digest
    }

    /// Where a new upload goes on.
    pub(crate) fn upload(&self, name: &str) -> String {
        self.ask("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"").is(202).location().to_owned()
    }

    /// The bytes of an image's manifest, whose blobs are uploaded.
    pub(crate) fn image(&self, name: &str, seed: u64) -> Vec<u8> {
        let (config, layer) = (format!("{{\"seed\":{seed}}}").into_bytes(), bytes(seed, 2000));
        self.blob(name, &config);
        self.blob(name, &layer);
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        })
        .to_string()
        .into_bytes()
    }

    /// Puts a manifest.
    pub(crate) fn put(&self, name: &str, reference: &str, media_type: &str, manifest: &[u8]) -> Reply {
        self.ask(
            "PUT",
            &format!("/v2/{name}/manifests/{reference}"),
            &[("Content-Type", media_type)],
            manifest,
        )
    }

    /// Puts an image by a tag; its digest.
    pub(crate) fn tagged(&self, name: &str, tag: &str, seed: u64) -> String {
        let manifest = self.image(name, seed);
        self.put(name, tag, MANIFEST, &manifest).is(201);
        sha256(&manifest)
    }

    /// The files below the storage's directory, as paths relative to it.
    pub(crate) fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![self.dir.path().join("data").join(below)];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(entry.path())
                } else {
                    found.push(entry.path())
                }
            }
        }
        found
    }
}
