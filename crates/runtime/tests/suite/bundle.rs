//! A bundle in a temporary directory, and `berth-oci` on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);
const PATIENCE: Duration = Duration::from_secs(20);
const APPLETS: &[&str] = &[
    "cat", "echo", "false", "hostname", "id", "ls", "mkdir", "mount", "ps", "readlink", "sh", "sleep",
    "stat", "sync", "touch", "true", "tty", "umount", "wc", "stty", "grep",
];

/// A bundle with its own state directory and container id.
pub(crate) struct Bundle {
    dir: tempfile::TempDir,
    pub(crate) id: String,
    pub(crate) spec: Value,
    checked: bool,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bundle {
    /// `berth-oci spec`, without a terminal, running `sh -c script`.
    pub(crate) fn new(script: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("berth-oci-").tempdir().unwrap();
        let root = dir.path().join("rootfs");
        for sub in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n",
        )
        .unwrap();
        let made = Command::new(program()).args(["spec", "--bundle"]).arg(dir.path()).status().unwrap();
        assert!(made.success());
        let mut spec: Value =
            serde_json::from_slice(&fs::read(dir.path().join("config.json")).unwrap()).unwrap();
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = json!(["sh", "-c", script]);
        spec["root"]["readonly"] = false.into();
        let id = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        spec["linux"]["cgroupsPath"] = format!("/berth-{id}").into();
        Self { dir, id, spec, checked: false }
    }

    /// One that runs until it is killed.
    pub(crate) fn sleeping() -> Self {
        Self::new("while :; do sleep 1000; done")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    pub(crate) fn state_root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Adds an entry to the mount table.
    pub(crate) fn mount(
        &mut self,
        destination: &str,
        typ: &str,
        source: &str,
        options: &[&str],
    ) -> &mut Self {
        let entry = json!({ "destination": destination, "type": typ, "source": source, "options": options });
        self.spec["mounts"].as_array_mut().unwrap().push(entry);
        self
    }

    /// A command on this bundle's state; the configuration is written first.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let new = self.path().join("config.json.new");
        fs::write(&new, self.spec.to_string()).unwrap();
        fs::rename(&new, self.path().join("config.json")).unwrap();
        let mut command = Command::new(program());
        command.arg("--root").arg(self.state_root()).args(args).stdin(Stdio::null()).current_dir(self.path());
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Ran {
        ran(self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Like [`Bundle::call`] for what leaves a container running: its output isn't waited for.
    pub(crate) fn call_detached(&self, args: &[&str]) -> Ran {
        let (out, err) = (self.path().join("out"), self.path().join("err"));
        let mut command = self.command(args);
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        let code = finish(&mut command.spawn().unwrap());
        Ran { code, out: fs::read_to_string(out).unwrap(), err: fs::read_to_string(err).unwrap() }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Ran {
        self.call(&["run", &self.id])
    }

    /// Runs it to its end, which must be a good one; its output.
    pub(crate) fn output(&mut self) -> String {
        let ran = self.run();
        assert_eq!(ran.code, 0, "{ran:?}");
        self.nothing_left();
        ran.out
    }

    /// Runs it to an error that holds `text`.
    pub(crate) fn fails_with(&mut self, text: &str) {
        let ran = self.run();
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(ran.err.contains(text), "{ran:?}");
        self.nothing_left();
    }

    pub(crate) fn start(&self) {
        let ran = self.call_detached(&["run", "-d", &self.id]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub(crate) fn status(&self) -> String {
        let ran = self.call(&["state", &self.id]);
        let state: Value = serde_json::from_str(&ran.out).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    /// Number of the first process.
    pub(crate) fn pid(&self) -> i32 {
        let ran = self.call(&["state", &self.id]);
        let state: Value = serde_json::from_str(&ran.out).unwrap();
        state["pid"].as_i64().unwrap() as i32
    }

    /// Deletes it by force, and checks.
    pub(crate) fn end(&mut self) {
        let ran = self.call(&["delete", "--force", &self.id]);
        assert_eq!(ran.code, 0, "{ran:?}");
        self.nothing_left();
    }

    /// No state, no cgroup, no mount.
    pub(crate) fn nothing_left(&mut self) {
        self.checked = true;
        let states = fs::read_dir(self.state_root()).map(Iterator::count).unwrap_or(0);
        assert_eq!(states, 0, "state is left");
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().map(|hierarchy| hierarchy.unwrap().path());
        // one hierarchy of version 2 is there itself
        for hierarchy in hierarchies.chain(["/sys/fs/cgroup".into()]) {
            let path = hierarchy.join(format!("berth-{}", self.id));
            assert!(!path.exists(), "{} is left", path.display());
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "a mount is left");
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if !self.checked {
            let _ = self.call(&["delete", "--force", &self.id]);
        }
    }
}

pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_berth-oci")
}

/// Waits with a limit; the exit code.
pub(crate) fn finish(child: &mut std::process::Child) -> i32 {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let time = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&time)).unwrap() == 0 {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("took longer than {PATIENCE:?}");
    }
    child.wait().unwrap().code().unwrap_or(-1)
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let child = command.spawn().unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Waits for something that another process does, by looking at it.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}
