//! A machine whose users, subordinate ids, devices and network are the test's own: namespaces that a process holds.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::lab::Namespace;
use e2e::programs::{self, Ran, eventually};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

pub(super) const IMAGE: &str = "berth-test/busybox:latest";
/// The machine's address in its network.
pub(super) const ADDRESS: &str = "10.98.7.1";
/// That of its neighbour there, which is its gateway, too.
pub(super) const NEIGHBOUR: &str = "10.98.7.254";
/// The same by IPv6.
pub(super) const ADDRESS6: &str = "fd00:98:7::1";
pub(super) const NEIGHBOUR6: &str = "fd00:98:7::fe";
/// Subordinate ids.
pub(super) const COUNT: u32 = 65_536;

/// What makes it, then waits. Words: its folder, that of the programs, the user, the first subordinate id, and
/// programs that it doesn't have.
const SETUP: &str = r#"set -e
cd "$1"; mkdir etc home run dev bin
cp /etc/passwd etc/passwd; echo "tester:x:$3:$3::$1/home:/bin/sh" >> etc/passwd
echo "tester:$4:65536" > etc/subuid; cp etc/subuid etc/subgid
chown "$3:$3" home run; chmod 700 home run; chmod 755 . etc
mount --make-rprivate /
for f in passwd subuid subgid; do [ -e /etc/$f ] || { echo "there is no /etc/$f" >&2; exit 1; }; mount --bind etc/$f /etc/$f; done
mount --bind "$2" bin
mount -t tmpfs none dev; mknod -m 666 dev/tun c 10 200
mount --bind dev/tun /dev/net/tun
for p in $5; do p=$(command -v $p) && mount --bind /dev/null $p; done
mkfifo dev/told
unshare -n sh -c 'echo >dev/told; exec sleep 100000' </dev/null >/dev/null 2>&1 & far=$!
read word <dev/told
trap 'kill $far' TERM
ip link set lo up; ip link add v0 type veth peer name v1; ip link set v1 netns $far
ip addr add 10.98.7.1/24 dev v0; ip addr add fd00:98:7::1/64 dev v0 nodad; ip link set v0 up; ip route add default via 10.98.7.254 dev v0
ip route add default via fd00:98:7::fe dev v0
nsenter -t $far -n sh -c 'ip link set lo up; ip addr add 10.98.7.254/24 dev v1; ip addr add fd00:98:7::fe/64 dev v1 nodad; ip link set v1 up'
echo "ready $far"; wait"#;

/// What is to be done as whom, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// The user, on the machine.
    User,
    /// Root, on the neighbour.
    Neighbour,
}

pub(super) struct Machine {
    pub(super) root: tempfile::TempDir,
    /// The user; nobody on the machine that runs the test has this number.
    pub(super) user: u32,
    /// The first of its subordinate ids.
    pub(super) first: u32,
    holder: Child,
    neighbour: String,
    /// Who adds a user to the real machine writes `/etc/passwd` anew, and what is mounted over it is gone.
    _users: std::fs::File,
}

/// A file to lock while the machine's users are looked at (shared) or changed.
pub(super) fn lock_users(how: FlockOperation) -> Result<std::fs::File> {
    let path = std::env::temp_dir().join("berth-e2e-users");
    let lock = std::fs::File::options().create(true).append(true).open(path)?;
    rustix::fs::flock(&lock, how)?;
    Ok(lock)
}

impl Machine {
    /// `None`, and a word on stderr, where programs are missing that no test can do without.
    pub(super) fn new() -> Result<Option<Self>> {
        Self::without(&[])
    }

    /// Without some programs.
    pub(super) fn without(hidden: &[&str]) -> Result<Option<Self>> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if let Some(name) = missing() {
            let note = "is not installed (Debian: uidmap, passt, slirp4netns, util-linux, iproute2)";
            let _ = writeln!(std::io::stderr(), "NOT RUN: {name} {note}");
            return Ok(None);
        }
        let users = lock_users(FlockOperation::LockShared)?;
        let number = std::process::id() * 16 + MADE.fetch_add(1, Ordering::Relaxed);
        let (user, first) = (1_000_000_000 + number, 1_200_000_000 + number % 40_000 * COUNT);
        let root = tempfile::Builder::new().prefix("berth-e2e-").tempdir()?;
        let bin = programs::program("berthd")?.parent().map(Path::to_owned).context("no programs")?;
        let mut command = Command::new("unshare");
        command.args(["-m", "-n", "sh", "-c", SETUP, "sh"]).arg(root.path()).arg(bin);
        command.args([user, first].map(|number| number.to_string())).arg(hidden.join(" "));
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let told = holder.stdout.take().context("no pipe")?;
        let mut machine = Self { root, user, first, holder, neighbour: String::new(), _users: users };
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut line)?;
        line.trim()
            .strip_prefix("ready ")
            .context("the machine was not made")?
            .clone_into(&mut machine.neighbour);
        Ok(Some(machine))
    }

    /// With busybox loaded, by a daemon that the command has started.
    pub(super) fn with_image() -> Result<Option<Self>> {
        let Some(machine) = Self::new()? else { return Ok(None) };
        machine.load_image()?;
        Ok(Some(machine))
    }

    /// Loads busybox.
    pub(super) fn load_image(&self) -> Result<()> {
        let archive = self.root.path().join("image.tar");
        Image::busybox()?.save(&archive, IMAGE)?;
        self.berth(&["load", "-i", &archive.to_string_lossy()])?.ok().map(drop)
    }

    /// Its network.
    pub(super) fn host(&self) -> Result<Namespace> {
        Namespace::of(self.holder.id())
    }

    /// That of its neighbour.
    pub(super) fn neighbour(&self) -> Result<Namespace> {
        Namespace::of(self.neighbour.parse()?)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.root.path().join("run/berth")
    }

    pub(super) fn command(&self, who: As, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let place = if who == As::Neighbour { self.neighbour.clone() } else { self.holder.id().to_string() };
        command.args(["-t", &place, "-m", "-n"]);
        if who == As::User {
            let user = self.user.to_string();
            command.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        let root = self.root.path().display();
        let set = [
            format!("HOME={root}/home"),
            format!("XDG_RUNTIME_DIR={root}/run"),
            format!("PATH={root}/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ];
        command.args(["env", "-i"]).args(set).args(words).current_dir("/");
        command
    }

    /// A command of the user's.
    pub(super) fn berth(&self, words: &[&str]) -> Result<Ran> {
        programs::run(&mut self.command(As::User, &[&["berth"], words].concat()))
    }

    /// The output of `script` in a container that is gone afterwards.
    pub(super) fn sh(&self, options: &[&str], script: &str) -> Result<String> {
        self.berth(&[&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())?.ok()
    }

    /// A script of the user's.
    pub(super) fn script(&self, script: &str) -> Result<String> {
        programs::run(&mut self.command(As::User, &["sh", "-c", &format!("cd ~ && {script}")]))?.ok()
    }

    /// What a URL answers, as soon as it does.
    pub(super) fn fetch(&self, who: As, url: &str) -> Result<String> {
        eventually(url, || {
            let ran = programs::run(&mut self.command(who, &["busybox", "wget", "-qO-", url]))?;
            Ok((ran.code == 0).then_some(ran.stdout))
        })
    }

    /// Processes of the user and of its subordinate ids.
    fn processes(&self) -> Result<Vec<(i32, String)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
            let uid: u32 =
                line.split_whitespace().next().and_then(|uid| uid.parse().ok()).unwrap_or_default();
            let is_his = uid == self.user || (self.first..self.first + COUNT).contains(&uid);
            // one that ended waits for the machine's first process
            if is_his && sys::process::is_alive(pid) {
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push((pid, name.trim().to_owned()));
            }
        }
        Ok(found)
    }

    fn daemon(&self) -> Result<Pid> {
        let text = std::fs::read_to_string(self.state().join("berthd.pid"))?;
        Pid::from_raw(text.trim().parse()?).context("no process")
    }

    /// Kills the daemon, and waits until it is gone.
    pub(super) fn kill_daemon(&self) -> Result<()> {
        let daemon = pidfd_open(self.daemon()?, PidfdFlags::empty())?;
        pidfd_send_signal(&daemon, Signal::KILL)?;
        // with all its threads: until then its socket takes connections
        let patience = Timespec::try_from(programs::patient(Duration::from_secs(10)))?;
        let gone = poll(&mut [PollFd::new(&daemon, PollFlags::IN)], Some(&patience))?;
        ensure!(gone == 1, "the daemon does not end");
        Ok(())
    }

    /// The shim of a container that runs.
    pub(super) fn shim(&self, container: &str) -> Result<Pid> {
        let pid = self.berth(&["inspect", "-f", "{{.State.Pid}}", container])?.ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).context("no parent")?;
        let shim = Pid::from_raw(parent.trim().parse()?).context("no parent")?;
        let name = std::fs::read_to_string(format!("/proc/{}/comm", shim.as_raw_nonzero()))?;
        ensure!(name.trim() == "berth-shim", "{name}");
        Ok(shim)
    }

    /// Whether a process of the user's or of his subordinate ids is called so.
    pub(super) fn has_process(&self, name: &str) -> Result<bool> {
        Ok(self.processes()?.iter().any(|(_, called)| called == name))
    }

    /// Ends the daemon, which must take everything of the user's with it but the log and the images.
    pub(super) fn finish(self) -> Result<()> {
        kill_process(self.daemon()?, Signal::TERM)?;
        eventually("the user has no process any more", || Ok(self.processes()?.is_empty().then_some(())))
            .with_context(|| format!("{:?}", self.processes()))?;
        let names = |path: &Path| -> Result<Vec<String>> {
            let entries = std::fs::read_dir(path)?.flatten();
            Ok(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        };
        let state = names(&self.state())?;
        let left = ["berth.sock", "berthd.pid", "rootless", "rootless-network.pid"];
        ensure!(!state.iter().any(|name| left.contains(&name.as_str())), "{state:?}");
        ensure!(names(&self.state().join("shim"))?.is_empty());
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("BERTH_TEST_LOG").is_some() {
            for name in ["berthd.log", "rootless-network.log"] {
                let text = std::fs::read_to_string(self.state().join(name)).unwrap_or_default();
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
        }
        // all of them are this test's: nobody else has the number
        for (pid, _) in self.processes().unwrap_or_default() {
            let Some(pid) = Pid::from_raw(pid) else { continue };
            let _ = kill_process(pid, Signal::KILL);
        }
        // its neighbour goes with it
        let holder = i32::try_from(self.holder.id()).ok().and_then(Pid::from_raw);
        let _ = holder.map(|pid| kill_process(pid, Signal::TERM));
        let _ = self.holder.wait();
    }
}

/// What the machine lacks, if it does.
fn missing() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["newuidmap", "newgidmap", "pasta", "setpriv", "nsenter", "ip", "busybox", "slirp4netns"]
        .into_iter()
        .find(|name| !std::env::split_paths(&path).any(|directory| directory.join(name).is_file()))
}
