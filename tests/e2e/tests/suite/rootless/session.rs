//! An ordinary user with a systemd of his own, as on machines that people use: made for a test on the machine itself.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::programs::{self, Ran, eventually};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

use super::machine::{IMAGE, lock_users};

/// The unit as it is packaged.
const UNIT: &str = include_str!("../../../../../packaging/systemd/user/berth.service");
const HIERARCHY: &str = "/sys/fs/cgroup";

pub(super) struct Session {
    root: tempfile::TempDir,
    name: String,
    uid: u32,
}

impl Session {
    /// `None`, and a word on stderr, where no systemd gives users control groups.
    pub(super) fn new() -> Result<Option<Self>> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if let Some(why) = missing() {
            ensure!(std::env::var_os("BERTH_TEST_MUST").is_none(), "{why}");
            let _ = writeln!(std::io::stderr(), "NOT RUN: {why}");
            return Ok(None);
        }
        let root = tempfile::Builder::new().prefix("berth-e2e-").tempdir()?;
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755))?;
        let name = format!("berth-e2e-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let home = root.path().join("home");
        let lock = lock_users(FlockOperation::LockExclusive)?;
        let ids = "100000000-100065535";
        let add = ["--create-home", "--shell", "/bin/sh", "--home-dir", &home.to_string_lossy(), &name];
        programs::run(Command::new("useradd").args(add))?.ok()?;
        let mut session = Self { root, name, uid: 0 };
        let own =
            ["/etc/subuid", "/etc/subgid"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        if !own.iter().all(|text| text.lines().any(|line| line.starts_with(&format!("{}:", session.name)))) {
            let add = ["--add-subuids", ids, "--add-subgids", ids, &session.name];
            programs::run(Command::new("usermod").args(add))?.ok()?;
        }
        drop(lock);
        session.uid = programs::run(Command::new("id").args(["-u", &session.name]))?.ok()?.parse()?;
        // the machine's systemd starts the user's, which needs nobody to log in
        programs::run(Command::new("loginctl").args(["enable-linger", &session.name]))?.ok()?;
        eventually("the user's systemd", || {
            Ok(session.runtime().join("systemd/private").exists().then_some(()))
        })?;
        Ok(Some(session))
    }

    fn runtime(&self) -> PathBuf {
        format!("/run/user/{}", self.uid).into()
    }

    /// A command of the user's, from outside of his session.
    pub(super) fn run(&self, words: &[&str]) -> Result<Ran> {
        let uid = self.uid.to_string();
        let programs = programs::program("berthd")?.parent().map(Path::to_owned).context("no programs")?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "env", "-i"]);
        command.arg(format!("HOME={}", self.root.path().join("home").display()));
        command.arg(format!("XDG_RUNTIME_DIR={}", self.runtime().display()));
        command.arg(format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()));
        programs::run(command.args(words).current_dir("/"))
    }

    pub(super) fn berth(&self, words: &[&str]) -> Result<Ran> {
        self.run(&[&["berth"], words].concat())
    }

    pub(super) fn systemctl(&self, words: &[&str]) -> Result<Ran> {
        self.run(&[&["systemctl", "--user"], words].concat())
    }

    /// Has the user's systemd run the daemon, by the packaged unit.
    pub(super) fn start_service(&self) -> Result<()> {
        let unit = UNIT.replace("/usr/local/bin/berthd", &programs::program("berthd")?.to_string_lossy());
        ensure!(unit != UNIT, "the packaged unit starts another program");
        let place = self.root.path().join("berth.service");
        std::fs::write(&place, unit)?;
        let folder = "mkdir -p ~/.config/systemd/user && cp \"$0\" ~/.config/systemd/user/berth.service";
        self.run(&["sh", "-c", folder, &place.to_string_lossy()])?.ok()?;
        self.systemctl(&["daemon-reload"])?.ok()?;
        self.systemctl(&["start", "berth"])?.ok().map(drop)
    }

    /// Loads busybox.
    pub(super) fn load_image(&self) -> Result<()> {
        let archive = self.root.path().join("image.tar");
        Image::busybox()?.save(&archive, IMAGE)?;
        self.berth(&["load", "-i", &archive.to_string_lossy()])?.ok().map(drop)
    }

    /// A field of a container.
    pub(super) fn inspect(&self, container: &str, field: &str) -> Result<String> {
        self.berth(&["inspect", "-f", &format!("{{{{{field}}}}}"), container])?.ok()
    }

    /// The directory of a process's control group.
    pub(super) fn group(&self, pid: &str) -> Result<PathBuf> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let place = text.lines().find_map(|line| line.strip_prefix("0::/")).context("no group")?;
        Ok(Path::new(HIERARCHY).join(place))
    }

    /// The scopes of the user's daemons.
    pub(super) fn scopes(&self) -> Result<Vec<String>> {
        let listed =
            self.systemctl(&["list-units", "--all", "--plain", "--no-legend", "berth*.scope"])?.ok()?;
        Ok(listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// The process of a container's shim.
    pub(super) fn shim(&self, container: &str) -> Result<Pid> {
        let pid = self.inspect(container, ".State.Pid")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).context("no parent")?;
        Pid::from_raw(parent.trim().parse()?).context("no parent")
    }

    /// The user's daemon.
    pub(super) fn daemon(&self) -> Result<Pid> {
        let text = std::fs::read_to_string(self.runtime().join("berth/berthd.pid"))?;
        Pid::from_raw(text.trim().parse()?).context("no process")
    }

    /// Kills the daemon.
    pub(super) fn kill_daemon(&self) -> Result<()> {
        Ok(kill_process(self.daemon()?, Signal::KILL)?)
    }

    /// Processes of the user's that are called so.
    pub(super) fn processes(&self, name: &str) -> Result<usize> {
        let ran = programs::run(Command::new("pgrep").args(["-c", "-x", "-u", &self.uid.to_string(), name]))?;
        Ok(ran.stdout.trim().parse()?)
    }

    /// What the user's systemd and services have said of late.
    pub(super) fn journal(&self) -> Result<String> {
        let user = format!("_UID={}", self.uid);
        programs::run(Command::new("journalctl").args(["--no-pager", "-n", "80", &user]))?.ok()
    }

    /// Ends all that the user's systemd runs, as the machine's end or that of the last session does, and begins it again.
    pub(super) fn end_and_begin(&self) -> Result<()> {
        let unit = format!("user@{}.service", self.uid);
        programs::run(Command::new("systemctl").args(["restart", &unit]))?.ok().map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("BERTH_TEST_LOG").is_some() {
            let text = std::fs::read_to_string(self.runtime().join("berth/berthd.log")).unwrap_or_default();
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        let _ = programs::run(Command::new("loginctl").args(["disable-linger", &self.name]));
        for unit in ["user@", "user-runtime-dir@"] {
            let _ = programs::run(
                Command::new("systemctl").arg("stop").arg(format!("{unit}{}.service", self.uid)),
            );
        }
        if self.uid != 0 {
            let _ = programs::run(Command::new("pkill").args(["-KILL", "-u", &self.uid.to_string()]));
        }
        let _lock = lock_users(FlockOperation::LockExclusive);
        let _ = programs::run(Command::new("userdel").args(["--force", &self.name]));
    }
}

/// What a user needs whose systemd gives him control groups, and is not there.
fn missing() -> Option<String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Some("no systemd runs this machine".to_owned());
    }
    if !Path::new(HIERARCHY).join("cgroup.controllers").exists() {
        return Some("control groups of version 1 are not delegated to users".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    let programs = ["newuidmap", "useradd", "loginctl", "setpriv", "pgrep"];
    if let Some(name) = programs.iter().find(|name| !is_there(name)) {
        return Some(format!(
            "{name} is not installed (Debian: uidmap, passwd, systemd, util-linux, procps)"
        ));
    }
    let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let pam = library.iter().any(|folder| Path::new(folder).join("security/pam_systemd.so").exists());
    (!pam)
        .then(|| "users get no systemd of their own without pam_systemd (Debian: libpam-systemd)".to_owned())
}
