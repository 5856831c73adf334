//! The way from a user's network namespace to the host's network: `pasta`, which also leads inwards to what listens
//! there; else `slirp4netns`, which leads outwards only. Published ports don't need them ([`super::ports`]).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use sys::process::{Child, Exit};
use sys::signal::Signal;
use sys::spawn::Command;

/// File with the number of the program that runs.
const PIDFILE: &str = "rootless-network.pid";
/// What the program says.
const LOG: &str = "rootless-network.log";
const MOST_BYTES: usize = 32;
/// Longest command line that is looked at.
const MOST_LINE: usize = 64 << 10;
/// What the way out is called in the daemon's network.
const INTERFACE: &str = "outside";

fn pidfile(exec_root: &Path) -> PathBuf {
    exec_root.join(PIDFILE)
}

/// Starts a program with nothing of ours open but the log; `None` when it is not there.
fn start(name: &str, words: &[&str], log: &File) -> Option<Child> {
    let path = sys::spawn::in_path(name)?;
    let null = File::open("/dev/null").ok()?;
    let mut command = Command::new(&path, name).ok()?;
    for word in words {
        command.arg(word).ok()?;
    }
    command.env("PATH=/usr/sbin:/usr/bin:/sbin:/bin").ok()?;
    command.map(null.as_fd(), 0).map(log.as_fd(), 1).map(log.as_fd(), 2).new_session().spawn().ok()
}

/// Connects a process's network with the host's, unless that has been done. Without one of the programs, or when it
/// fails, there is no way out: containers still reach each other.
/// The answer is the program that does it.
pub(super) fn connect(exec_root: &Path, pid: i32) -> Option<i32> {
    if running(exec_root).is_none() {
        start_one(exec_root, pid);
    }
    running(exec_root).map(|pid| pid.as_raw_nonzero().get())
}

fn start_one(exec_root: &Path, pid: i32) {
    let Ok(log) = File::options().create(true).append(true).open(exec_root.join(LOG)) else { return };
    let (pid, file) = (pid.to_string(), pidfile(exec_root));
    let shown = file.to_string_lossy();
    // Ports that listen in the namespace are opened on the host. The other way round, too, on loopback, which only
    // containers with the daemon's own network see: Debian 12's pasta looks for neither, unless it may for both. The
    // host's loopback is not reached as the gateway. It goes into the background by itself when it is ready.
    #[rustfmt::skip]
    let words = [
        "--config-net", "--quiet", "--no-map-gw", "-t", "auto", "-u", "auto", "-T", "auto", "-U", "none",
        "--ns-ifname", INTERFACE, "--pid", &shown, &pid,
    ];
    let pasta = start("pasta", &words, &log).and_then(|child| child.wait().ok());
    if pasta == Some(Exit::Code(0)) {
        return;
    }
    // the file of its number is told it as the place of a socket, too: by that word it is known
    let socket = format!("--api-socket={shown}.socket");
    let words = ["--configure", "--mtu=65520", "--disable-host-loopback", &socket, &pid, INTERFACE];
    if let Some(child) = start("slirp4netns", &words, &log) {
        let _ = std::fs::write(file, child.pid.as_raw_nonzero().to_string());
    }
}

/// The program that runs. Its number may be another's by now: a process whose command line does not name the file is not
/// meant.
fn running(exec_root: &Path) -> Option<sys::Pid> {
    let file = pidfile(exec_root);
    let bytes = sys::file::read_bounded(&file, MOST_BYTES).ok()?;
    let pid: i32 = String::from_utf8_lossy(&bytes).trim().parse().ok()?;
    let line = sys::file::read_bounded(format!("/proc/{pid}/cmdline"), MOST_LINE).ok()?;
    let named = file.as_os_str().as_encoded_bytes();
    line.windows(named.len()).any(|part| part == named).then(|| sys::Pid::from_raw(pid)).flatten()
}

/// Ends the program, if it runs.
pub(super) fn end(exec_root: &Path) {
    if let Some(pid) = running(exec_root) {
        let _ = sys::signal::kill(pid, Signal::TERM);
    }
    let file = pidfile(exec_root);
    let _ = std::fs::remove_file(file.with_extension("pid.socket"));
    let _ = std::fs::remove_file(file);
}
