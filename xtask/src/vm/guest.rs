//! A running guest: started, entered, ended as wanted or as by a power cut.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::root::{READY, Root};
use super::run;
use super::session::Session;
use super::wire::Joined;

/// How long a guest may take from its start until it can be entered. Generous, for its processor is emulated.
const PATIENCE: Duration = Duration::from_secs(600);
/// Memory of a guest, MiB.
const MEMORY: &str = "3072";
/// How many processors a guest has.
const ONE: &str = "1";
const TWO: &str = "2";
/// Of the kernel: what Debian's own start leaves to the boot loader, the stack of what doesn't let go of a processor, and
/// nothing that costs time: guards against a processor that is not there, devices that nobody uses, and programs at
/// random addresses, which qemu would translate anew each time that they start.
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 mitigations=off norandmaps \
                      modprobe.blacklist=ata_piix,aesni_intel,floppy,psmouse";

/// ssh's own status, for a lost connection and for a command that a signal has ended.
const CUT_OFF: i32 = 255;
/// Begins the last line of what is recorded of a command.
pub(super) const ENDED: &str = "the command ended with ";

/// Which security module the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    /// Debian's default.
    AppArmor,
    /// Without a policy, until one is loaded.
    Selinux,
}

impl Module {
    /// As it stands in the kernel's options, and in what tests are told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AppArmor => "apparmor",
            Self::Selinux => "selinux",
        }
    }
}

/// A machine that runs until it is ended; dropped, it loses its power.
pub(super) struct Guest {
    qemu: Child,
    port: u16,
    key: PathBuf,
    console: PathBuf,
    ready: mpsc::Receiver<()>,
    _place: tempfile::TempDir,
}

impl Guest {
    /// Starts a guest on a new disk, and returns when it can be entered. What it writes is never synchronised.
    pub(super) fn boot(root: &Root, work: &Path, module: Module) -> Result<Self> {
        Self::start(root, work, module, TWO, &of_its_own(root), &[])?.when_ready()
    }

    /// Starts two at the ends of a wire, whose sockets will lie in `wire`, and returns when both can be entered.
    pub(super) fn boot_pair(root: &Root, work: &Path, wire: &Path) -> Result<[Self; 2]> {
        let start = |end: Joined| {
            Self::start(root, work, Module::AppArmor, TWO, &of_its_own(root), &end.options(wire))
        };
        let [first, second] = Joined::BOTH.map(start);
        let (first, second) = (first?, second?);
        Ok([first.when_ready()?, second.when_ready()?])
    }

    /// Starts a guest with one processor on a disk that is served on a unix socket.
    pub(super) fn on(root: &Root, work: &Path, socket: &Path) -> Result<Self> {
        let disk = format!("file=nbd+unix:///?socket={},format=raw,cache=writeback", socket.display());
        Self::start(root, work, Module::AppArmor, ONE, &disk, &[])?.when_ready()
    }

    fn start(
        root: &Root,
        work: &Path,
        module: Module,
        processors: &str,
        disk: &str,
        more: &[String],
    ) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("berth-vm-").tempdir()?;
        // The port is free again when qemu asks for it; whoever takes it in between makes qemu end with a message.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // it ends with the thread that starts it, however that ends
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", processors, "-m", MEMORY])
            .args(["-nodefaults", "-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci"])
            .args(["-append", &format!("{KERNEL} {0}=1 security={0}", module.name())])
            .arg("-kernel")
            .arg(&root.kernel)
            .arg("-initrd")
            .arg(&root.initrd)
            .args(["-netdev", &format!("user,id=way-in,hostfwd=tcp:127.0.0.1:{port}-:22")])
            .args(["-device", "virtio-net-pci,netdev=way-in"])
            .args(more)
            .args(["-drive", &format!("{disk},if=virtio")])
            .arg("-drive")
            // written to as well (caches of tests), and forgotten
            .arg(format!("file={},format=raw,snapshot=on,if=virtio", work.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut qemu = qemu.spawn().context("cannot run qemu-system-x86_64")?;
        let out = qemu.stdout.take().context("no console")?;
        let console = place.path().join("console");
        let ready = listen(out, &console);
        Ok(Self { qemu, port, key: root.key.clone(), console, ready, _place: place })
    }

    fn when_ready(self) -> Result<Self> {
        self.wait_ready()?;
        Ok(self)
    }

    /// Waits until the guest says that it can be entered.
    fn wait_ready(&self) -> Result<()> {
        match self.ready.recv_timeout(PATIENCE) {
            Ok(()) => Ok(()),
            Err(_) => bail!("the guest does not get ready; its console said:\n{}", self.console()),
        }
    }

    /// The end of what the guest's console said.
    fn console(&self) -> String {
        const MOST: usize = 16 * 1024;
        let bytes = std::fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(MOST)..]).into_owned()
    }

    /// An error, and what the console said last: it may be the kernel that has failed.
    pub(super) fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("the guest's console said:\n{}", self.console()))
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "BatchMode=yes", "-o", "ServerAliveInterval=60", "-p", &self.port.to_string(), "-i"])
        .arg(&self.key)
        .arg("root@127.0.0.1");
        ssh
    }

    /// Runs a shell's command in the guest, with its output on ours; one that fails shows the console's end, for it may
    /// be the kernel that has failed.
    pub(super) fn run(&self, command: &str) -> Result<()> {
        let status = self.ssh().arg(command).stdin(Stdio::null()).status().context("cannot run ssh")?;
        self.ended(command, status)
    }

    /// Runs a shell's command in the guest, whose output goes to a file, with [`ENDED`] and its status. That it fails is
    /// no error; the guest's end is.
    pub(super) fn record(&self, command: &str, log: &Path) -> Result<()> {
        let out = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut ssh = self.ssh();
        // of a program that a signal has ended, ssh would say what it says of a lost connection
        ssh.arg(format!("( {command} )\necho \"{ENDED}$?\""))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let status = ssh.status().context("cannot run ssh")?;
        if status.code() == Some(CUT_OFF) { self.ended(command, status) } else { Ok(()) }
    }

    /// Runs a shell's command in the guest that reads `input`.
    pub(super) fn send(&self, command: &str, input: &[u8]) -> Result<()> {
        let mut ssh = self.ssh().arg(command).stdin(Stdio::piped()).spawn().context("cannot run ssh")?;
        // one that does not read on says why by its end
        let written = ssh.stdin.take().context("no input")?.write_all(input);
        let status = ssh.wait()?;
        self.ended(command, status)?;
        Ok(written?)
    }

    /// Runs a shell's command in the guest, and gives what it prints.
    pub(super) fn ask(&self, command: &str) -> Result<String> {
        let ssh = self.ssh().arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let ssh = ssh.context("cannot run ssh")?;
        let said = String::from_utf8_lossy(&ssh.stdout).trim_end().to_owned();
        self.ended(command, ssh.status).with_context(|| format!("it said {said:?}"))?;
        Ok(said)
    }

    /// Like [`Self::ask`] of what may be asked twice: a connection that is lost under way, which says nothing of the
    /// guest's programs, is told with what the console said, and made once more.
    pub(super) fn ask_again(&self, command: &str) -> Result<String> {
        self.ask(command).or_else(|error| {
            run::complain(&format!("{error:#}\n"));
            self.ask(command)
        })
    }

    /// What the end of a command means.
    fn ended(&self, command: &str, status: ExitStatus) -> Result<()> {
        match status.code() {
            Some(0) => Ok(()),
            Some(CUT_OFF) => {
                bail!("in the guest: {command:?} was cut off; the guest's console said:\n{}", self.console())
            }
            _ => bail!("in the guest: {command:?} ended with {status}"),
        }
    }

    /// A shell in the guest.
    pub(super) fn session(&self) -> Result<Session> {
        Session::open(self.ssh())
    }

    /// The power goes.
    pub(super) fn cut(self) {
        drop(self);
    }

    /// Lets a person work in the guest.
    pub(super) fn shell(&self) -> Result<()> {
        let _ = self.ssh().args(["-t", "exec bash -l"]).status()?;
        Ok(())
    }

    /// Restarts the guest in order, and returns when it can be entered again.
    pub(super) fn reboot(&self) -> Result<()> {
        // The connection may end before the command's answer.
        let _ = self.ssh().arg("systemctl reboot").stdin(Stdio::null()).status()?;
        self.wait_ready()
    }

    /// Restarts the guest at once, as its reset button would, and returns when it can be entered again.
    pub(super) fn reset(&self) -> Result<()> {
        // nobody answers
        let mut ssh = self.ssh().arg("echo b > /proc/sysrq-trigger").stdin(Stdio::null()).spawn()?;
        let ready = self.wait_ready();
        let _ = ssh.kill();
        ssh.wait()?;
        ready
    }

    /// Shuts the guest down in order.
    pub(super) fn power_off(mut self) -> Result<()> {
        let _ = self.ssh().arg("systemctl poweroff").stdin(Stdio::null()).status()?;
        self.qemu.wait()?;
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// What is written goes to a file of qemu's own, which goes with it.
fn of_its_own(root: &Root) -> String {
    format!("file={},format=raw,snapshot=on", root.disk.display())
}

/// Writes what the console says to a file, and tells whenever it says that the guest is ready.
fn listen(console: impl std::io::Read + Send + 'static, log: &Path) -> mpsc::Receiver<()> {
    let (tell, ready) = mpsc::channel();
    let file = std::fs::File::create(log);
    std::thread::spawn(move || {
        let Ok(mut file) = file else { return };
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let _ = file.write_all(&line);
            if String::from_utf8_lossy(&line).contains(READY) {
                let _ = tell.send(());
            }
            line.clear();
        }
    });
    ready
}
