//! A private engine over private roots, with the busybox image loaded; asserts at its end that nothing is left.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::container::{
    ContainerConfig, CreateRequest, HostConfig, RemoveOptions, WaitCondition, WaitResult,
};
use engine::{Config, Engine};
use futures_util::StreamExt as _;

/// What the tests call their image.
const IMAGE: &str = "busybox:latest";
/// Nothing here takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    roots: tempfile::TempDir,
    config: Config,
}

impl Bench {
    /// An engine with busybox.
    pub(crate) async fn new() -> Self {
        let shim = e2e::programs::program("berth-shim").unwrap();
        let roots = tempfile::tempdir().unwrap();
        let mut config = Config::new(roots.path().join("data"), roots.path().join("exec"));
        config.shim = shim;
        config.bridge.ip_forward = false;
        let engine = Engine::open(config.clone()).await.unwrap();
        let saved = roots.path().join("busybox.tar");
        e2e::image::Image::busybox().unwrap().save(&saved, IMAGE).unwrap();
        let archive = tokio::fs::File::open(&saved).await.unwrap();
        let mut news = engine.image_load(Box::new(archive), true).await.unwrap();
        while let Some(news) = news.next().await {
            news.unwrap();
        }
        Self { engine, roots, config }
    }

    /// The same roots under a new engine, as after a daemon's death.
    pub(crate) async fn reopen(self) -> Self {
        let Self { engine, roots, config } = self;
        engine.close().await;
        drop(engine);
        // tasks let go of the store's lock as they end
        for _ in 0..100 {
            if let Ok(engine) = Engine::open(config.clone()).await {
                return Self { engine, roots, config };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let engine = Engine::open(config.clone()).await.unwrap();
        Self { engine, roots, config }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.roots.path().join("data")
    }

    /// The cgroup above all containers.
    pub(crate) fn cgroup_parent(&self) -> String {
        format!("berth-{}", self.config.tag)
    }

    /// A shell command in a container without network.
    pub(crate) fn request(name: &str, script: &str) -> CreateRequest {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        CreateRequest {
            name: (!name.is_empty()).then(|| name.to_owned()),
            config: ContainerConfig { image: "busybox".into(), cmd: Some(words), ..Default::default() },
            host: HostConfig { network_mode: "none".into(), ..Default::default() },
            ..Default::default()
        }
    }

    pub(crate) async fn create(&self, request: CreateRequest) -> String {
        self.engine.container_create(request).await.unwrap().id
    }

    /// Creates, starts, waits.
    pub(crate) async fn run(&self, request: CreateRequest) -> (String, WaitResult) {
        let id = self.create(request).await;
        let waiter = self.engine.container_wait(&id, WaitCondition::NextExit).await.unwrap();
        self.engine.container_start(&id).await.unwrap();
        (id, tokio::time::timeout(LIMIT, waiter.done()).await.unwrap())
    }

    /// What a container wrote.
    pub(crate) async fn output(&self, id: &str) -> String {
        let wanted = engine::container::LogsOptions { stdout: true, stderr: true, ..Default::default() };
        let mut logs = self.engine.container_logs(id, wanted).await.unwrap().entries;
        let mut text = String::new();
        while let Some(entries) = logs.next().await {
            entries.unwrap().iter().for_each(|entry| text.push_str(&String::from_utf8_lossy(&entry.data)));
        }
        text
    }

    /// Removes everything, and asserts that nothing is left.
    pub(crate) async fn finish(self) {
        let options = engine::container::ListOptions { all: true, ..Default::default() };
        for listed in self.engine.container_list(options).await.unwrap() {
            let force = RemoveOptions { force: true, volumes: true, link: false };
            self.engine.container_remove(&listed.container.id, force).await.unwrap();
        }
        let exec = self.roots.path().join("exec");
        assert_eq!(entries(&self.data().join("containers")), Vec::<String>::new());
        assert_eq!(entries(&exec.join("shim")), Vec::<String>::new());
        assert_eq!(entries(&exec.join("shm")), Vec::<String>::new());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.roots.path().to_str().unwrap()), "{mounts}");
        let parent = format!("berth-{}", self.config.tag);
        for hierarchy in ["memory", "pids", "freezer", "devices"] {
            let path = Path::new("/sys/fs/cgroup").join(hierarchy).join(&parent);
            let children = entries(&path).into_iter().filter(|name| name.len() == 64);
            assert_eq!(children.count(), 0, "{}", path.display());
        }
        self.engine.network_teardown().await.unwrap();
        self.engine.close().await;
        remove_cgroups(&parent);
    }
}

/// The parent of all containers, which an engine leaves for the next.
fn remove_cgroups(parent: &str) {
    for entry in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir(entry.path().join(parent));
    }
    let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(parent));
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
