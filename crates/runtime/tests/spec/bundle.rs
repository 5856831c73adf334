//! A bundle made from busybox, with a state directory and an id of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::subject::Subject;

static NEXT: AtomicU32 = AtomicU32::new(0);
const PATIENCE: Duration = Duration::from_secs(30);
const APPLETS: &[&str] = &[
    "cat", "chmod", "date", "dd", "echo", "env", "false", "grep", "hostname", "id", "ls", "mkdir", "mknod",
    "mount", "ps", "readlink", "sh", "sleep", "stat", "touch", "true", "tty", "uname", "wc",
];
/// Runs until it is killed, without a child that outlives it.
pub(crate) const FOREVER: &str = "exec sleep 1000";

pub(crate) struct Bundle<'a> {
    subject: &'a Subject,
    dir: tempfile::TempDir,
    pub(crate) id: String,
    pub(crate) spec: Value,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_ne!(self.code, 0, "{self:?}");
        // a crash is no refusal
        assert!(
            self.code > 0 && !self.err.contains("panicked at") && !self.err.contains("goroutine "),
            "{self:?}"
        );
        self.err
    }
}

/// Copies a program, by another process: what this one writes to is open in whatever a neighbour starts meanwhile, and
/// execve(2) refuses a program that is open for writing (ETXTBSY).
pub(crate) fn program(from: &str, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "cp {from}");
}

impl<'a> Bundle<'a> {
    /// One whose program is `sh -c script`.
    pub(crate) fn new(subject: &'a Subject, script: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("berth-spec-").tempdir().unwrap();
        let root = dir.path().join("rootfs");
        for sub in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        program("/bin/busybox", &root.join("bin/busybox"));
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("spec-{}-{}-{number}", subject.name, std::process::id());
        let spec = json!({
            "ociVersion": "1.0.2",
            "root": { "path": "rootfs" },
            "process": {
                "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin"], "args": ["sh", "-c", script],
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                  "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
            ],
            "linux": {
                "cgroupsPath": format!("/berth-{id}"),
                "namespaces": [
                    { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
                ],
            },
        });
        Self { subject, dir, id, spec }
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

    pub(crate) fn namespaces(&mut self) -> &mut Vec<Value> {
        self.spec["linux"]["namespaces"].as_array_mut().unwrap()
    }

    /// Writes `config.json`.
    pub(crate) fn write(&self) {
        fs::write(self.path().join("config.json"), self.spec.to_string()).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.subject.command();
        command.arg("--root").arg(self.state_root()).args(args).stdin(Stdio::null()).current_dir(self.path());
        command
    }

    /// Runs a command; its output goes to files, for a container that goes on would hold pipes.
    #[track_caller]
    pub(crate) fn call(&self, args: &[&str]) -> Ran {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = |name: &str| self.path().join(format!("{name}-{number}"));
        let (out, err) = (place("out"), place("err"));
        let mut command = self.command(args);
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        let code = finish(&mut command.spawn().unwrap());
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Ran { code, out: text(out), err: text(err) }
    }

    pub(crate) fn create(&self) -> Ran {
        self.write();
        self.call(&["create", &self.id])
    }

    pub(crate) fn start(&self) -> Ran {
        self.call(&["start", &self.id])
    }

    #[track_caller]
    pub(crate) fn create_and_start(&self) {
        self.create().ok();
        self.start().ok();
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self) -> Ran {
        self.write();
        self.call(&["run", &self.id])
    }

    /// What its program says.
    #[track_caller]
    pub(crate) fn output(&self) -> String {
        self.run().ok()
    }

    /// Makes sure that it can't be created, and that nothing is there then.
    #[track_caller]
    pub(crate) fn is_refused(&self) -> String {
        let said = self.create().refused();
        assert!(self.call(&["state", &self.id]).code != 0, "a container is there in spite of the error");
        said
    }

    pub(crate) fn state(&self) -> Value {
        let text = self.call(&["state", &self.id]).ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.state()["pid"].as_i64().unwrap().try_into().unwrap()
    }

    #[track_caller]
    pub(crate) fn kill(&self, signal: &str) {
        self.call(&["kill", &self.id, signal]).ok();
    }

    #[track_caller]
    pub(crate) fn until_stopped(&self) {
        eventually("stopped", || self.status() == "stopped");
    }

    #[track_caller]
    pub(crate) fn end(&self) {
        self.call(&["delete", "--force", &self.id]).ok();
    }

    /// The container's directory in a hierarchy of cgroups, by a controller of version 1.
    pub(crate) fn cgroup(&self, controller: &str) -> PathBuf {
        let v1 = Path::new("/sys/fs/cgroup").join(controller);
        let base = if v1.is_dir() { v1 } else { "/sys/fs/cgroup".into() };
        base.join(format!("berth-{}", self.id))
    }

    /// Whether the container's cgroup is there, in any hierarchy. What is in the way of crun does not count.
    pub(crate) fn has_cgroup(&self) -> bool {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let mut real = hierarchies.map(|h| h.path()).filter(|h| h.join("cgroup.procs").exists());
        real.any(|h| h.join(format!("berth-{}", self.id)).exists()) || self.cgroup("pids").exists()
    }

    /// Whether this process is still there; one that has ended and that nobody has asked about is not.
    pub(crate) fn lives(pid: i32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    /// A file of the bundle's directory, as soon as it has something in it.
    #[track_caller]
    pub(crate) fn told(&self, name: &str) -> String {
        let path = self.path().join(name);
        let read = || fs::read_to_string(&path).unwrap_or_default();
        eventually(name, || !read().is_empty());
        read()
    }

    /// A hook of this place that runs a script of the host's shell.
    pub(crate) fn hook(&mut self, place: &str, script: &str) -> &mut Self {
        // crun writes the state into a pipe, and dies of one that nobody reads
        let script = format!("cat > /dev/null; {script}");
        let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] });
        match self.spec["hooks"][place].as_array_mut() {
            Some(list) => list.push(hook),
            None => self.spec["hooks"][place] = json!([hook]),
        }
        self
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        // whatever a test has left; one that runs for long must not outlive it
        let _ = self
            .command(&["delete", "--force", &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // and what a runtime that failed has left
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            for name in [format!("berth-{}", self.id), self.id.clone()] {
                let _ = fs::remove_dir(hierarchy.path().join(name));
            }
        }
    }
}

/// Waits with a limit; the exit code, or a signal's number below zero.
#[track_caller]
pub(crate) fn finish(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let time = Timespec { tv_sec: PATIENCE.as_secs().try_into().unwrap(), tv_nsec: 0 };
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&time)).unwrap() == 0 {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("took longer than {PATIENCE:?}");
    }
    let status = child.wait().unwrap();
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(1))
}

/// Waits for something that another process does, by looking at it.
#[track_caller]
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}
