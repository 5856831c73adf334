//! An outside OCI runtime (`runc`, `crun`, `youki`, …), spoken to through runc's command line.
//!
//! The shim waits for each call: a container has nothing to do meanwhile, and calls take tens of
//! milliseconds. The processes that a runtime leaves behind become the shim's children (it is their subreaper).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceBuilder, LinuxNamespaceType, LinuxResources, Process, Spec};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sys::Pid;
use sys::cgroup::Cgroup;
use sys::process::{Exit, Namespaces};
use sys::spawn::Command;

use super::{Created, Handed, Pending, io_failed, place, wants_terminal};
use crate::process::container::failed;
use crate::process::session::Ends;
use crate::process::stdio::Streams;
use crate::protocol::{CreateRequest, ErrorKind, ErrorReply, ExecRequest};

/// Most of a runtime's log that is looked at.
const MAX_LOG: usize = 64 * 1024;

/// What the configuration claims to follow: crun 1.8 takes nothing but 1.0, and newer properties are ignored by who
/// does not know them.
const VERSION: &str = "1.0.2";

/// The program and how it is called.
#[derive(Debug)]
pub(in crate::process) struct Outside {
    program: PathBuf,
    args: Vec<String>,
    root: PathBuf,
}

/// The streams of a call: a console socket, or pipes.
enum Io {
    Console { listener: OwnedFd, path: String, null: File },
    Pipes(Streams),
}

impl Outside {
    pub(super) fn new(program: &Path, args: &[String], root: &Path) -> Self {
        Self { program: program.to_owned(), args: args.to_owned(), root: root.to_owned() }
    }

    pub(super) fn create(
        &self,
        request: &CreateRequest,
        handed: Handed<'_>,
        state_dir: &File,
    ) -> Result<Created, ErrorReply> {
        // by name: the descriptor's own mount lies in the host's namespace, the root will be mounted in ours
        let real = std::fs::read_link(sys::fd::proc_path(state_dir))
            .map_err(io_failed("find the state directory"))?;
        let bundle = real.join("bundle");
        write_bundle(&bundle, &request.spec, handed).map_err(io_failed("make the bundle"))?;
        let io =
            Io::new(wants_terminal(request.spec.process().as_ref()), request.open_stdin, true, state_dir)?;
        let pid_file = own_path(state_dir.as_fd(), "init.pid");
        let mut words: Vec<&OsStr> =
            vec!["--bundle".as_ref(), bundle.as_ref(), "--pid-file".as_ref(), pid_file.as_ref()];
        words.extend(io.words());
        words.push(request.id.as_ref());
        self.call("create", &words, Some(io.theirs()), state_dir)?;
        let pid = read_pid(&pid_file)?;
        let ends = io.into_ends(request.console_size)?;
        let cgroup = request.cgroup.as_ref().map(place).transpose()?;
        // a runtime may keep its container in no cgroup that we see
        let cgroup = cgroup.and_then(|(path, _)| Cgroup::open(&path).ok());
        Ok(Created { pid, ends, cgroup, pending: Pending::Outside })
    }

    pub(super) fn start(&self, id: &str, state_dir: &File) -> Result<(), ErrorReply> {
        self.call("start", &[id.as_ref()], None, state_dir)
    }

    pub(super) fn exec(
        &self,
        id: &str,
        request: &ExecRequest,
        state_dir: &File,
    ) -> Result<(Pid, Ends), ErrorReply> {
        let process = own_path(state_dir.as_fd(), "process.json");
        let pid_file = own_path(state_dir.as_fd(), "exec.pid");
        let mut with_size = request.process.clone();
        plainly(&mut with_size);
        if let Some((rows, columns)) = request.console_size {
            // the process runs before its terminal comes to us
            let size =
                oci_spec::runtime::BoxBuilder::default().height(u64::from(rows)).width(u64::from(columns));
            with_size.set_console_size(size.build().ok());
        }
        let json = serde_json::to_vec(&with_size).map_err(|e| failed("exec", e))?;
        std::fs::write(&process, json).map_err(io_failed("write process.json"))?;
        let io = Io::new(
            wants_terminal(Some(&request.process)),
            request.open_stdin,
            request.attach.is_some(),
            state_dir,
        )?;
        let mut words: Vec<&OsStr> =
            ["--detach", "--process", &process, "--pid-file", &pid_file].map(OsStr::new).into();
        words.extend(io.words());
        words.push(id.as_ref());
        self.call("exec", &words, Some(io.theirs()), state_dir)?;
        Ok((read_pid(&pid_file)?, io.into_ends(request.console_size)?))
    }

    pub(in crate::process) fn set_paused(
        &self,
        id: &str,
        paused: bool,
        state_dir: &File,
    ) -> Result<(), ErrorReply> {
        self.call(if paused { "pause" } else { "resume" }, &[id.as_ref()], None, state_dir)
    }

    pub(in crate::process) fn kill(
        &self,
        id: &str,
        signal: i32,
        all: bool,
        state_dir: &File,
    ) -> Result<(), ErrorReply> {
        let signal = signal.to_string();
        let words: [&OsStr; 3] = ["--all".as_ref(), id.as_ref(), signal.as_ref()];
        self.call("kill", &words[usize::from(!all)..], None, state_dir)
    }

    pub(in crate::process) fn update(
        &self,
        id: &str,
        resources: &LinuxResources,
        state_dir: &File,
    ) -> Result<(), ErrorReply> {
        let path = own_path(state_dir.as_fd(), "resources.json");
        let json = serde_json::to_vec(resources).map_err(|e| failed("update", e))?;
        std::fs::write(&path, json).map_err(io_failed("write resources.json"))?;
        self.call("update", &["--resources".as_ref(), path.as_ref(), id.as_ref()], None, state_dir)
    }

    /// Remove the runtime's own record of the container; a failure leaves a file behind, no process.
    pub(in crate::process) fn delete(&self, id: &str, state_dir: &File) {
        let _ = self.call("delete", &["--force".as_ref(), id.as_ref()], None, state_dir);
    }

    /// Call the runtime and wait. Its standard error may be the container's, so that its errors go to a file.
    fn call(
        &self,
        verb: &str,
        words: &[&OsStr],
        streams: Option<[BorrowedFd<'_>; 3]>,
        state_dir: &File,
    ) -> Result<(), ErrorReply> {
        let log = own_path(state_dir.as_fd(), "runtime.log");
        // what an earlier call wrote is not about this one
        let _ = std::fs::remove_file(&log);
        let exit = self.spawn(verb, words, streams, &log).map_err(io_failed("run the runtime"))?;
        if exit == Exit::Code(0) {
            return Ok(());
        }
        let text = sys::file::read_bounded(&log, MAX_LOG).unwrap_or_default();
        Err(refused(verb, &String::from_utf8_lossy(&text)))
    }

    fn spawn(
        &self,
        verb: &str,
        words: &[&OsStr],
        streams: Option<[BorrowedFd<'_>; 3]>,
        log: &str,
    ) -> io::Result<Exit> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mut call = Command::new(&self.program, &self.program)?;
        for assignment in std::env::vars_os() {
            let mut text = assignment.0;
            text.push("=");
            text.push(assignment.1);
            call.env(text)?;
        }
        for arg in &self.args {
            call.arg(arg)?;
        }
        call.arg("--root")?
            .arg(&self.root)?
            .arg("--log")?
            .arg(log)?
            .arg("--log-format")?
            .arg("json")?
            .arg(verb)?;
        for word in words {
            call.arg(word)?;
        }
        let streams = streams.unwrap_or_else(|| [null.as_fd(); 3]);
        for (target, fd) in (0..).zip(streams) {
            call.map(fd, target);
        }
        Ok(call.spawn()?.wait()?)
    }
}

/// A path that another process can use for a file in a directory of ours.
fn own_path(dir: BorrowedFd<'_>, name: &str) -> String {
    format!("/proc/{}/fd/{}/{name}", std::process::id(), dir.as_raw_fd())
}

/// What a runtime said, as an error: the message of its last line of log, which youki calls by another name.
fn refused(verb: &str, log: &str) -> ErrorReply {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(alias = "message")]
        msg: String,
    }
    let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason was given");
    let message = serde_json::from_str::<Line>(last).map_or_else(|_| last.to_owned(), |line| line.msg);
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let kind = if has(&["not found in $PATH", "no such file or directory", "No such file or directory"]) {
        ErrorKind::NotFound
    } else if has(&["ermission denied", "correct permissions", "exec format error"]) {
        ErrorKind::NotExecutable
    } else {
        ErrorKind::Failed
    };
    // the words by which every client of Docker knows what has happened, where a runtime has others
    let lower = message.to_lowercase();
    let said = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let hint = match kind {
        ErrorKind::NotFound if !said(&["executable file not found", "no such file or directory"]) => {
            ": no such file or directory"
        }
        ErrorKind::NotExecutable if !said(&["permission denied", "exec format error"]) => {
            ": permission denied"
        }
        _ => "",
    };
    ErrorReply::new(kind, format!("{verb}: {message}{hint}"))
}

/// Says no to new privileges only where that is meant: youki installs the filter with the privileges that this needs when
/// the word is absent, and without them when it is `false`.
fn plainly(process: &mut Process) {
    if process.no_new_privileges() == Some(false) {
        process.set_no_new_privileges(None);
    }
}

/// config.json, and the root attached in a mount namespace of the shim's own.
fn write_bundle(bundle: &Path, spec: &Spec, handed: Handed<'_>) -> io::Result<()> {
    let Handed { rootfs, netns, mounts } = handed;
    let root = bundle.join("rootfs");
    std::fs::create_dir_all(&root)?;
    let mut spec = spec.clone();
    spec.set_version(VERSION.to_owned());
    if let Some(process) = spec.process_mut() {
        plainly(process);
    }
    if let Some(rootfs) = rootfs {
        leave_mounts()?;
        sys::mount::attach(rootfs, sys::file::open_directory(&root)?)?;
        if let Some(place) = spec.root_mut() {
            place.set_path("rootfs".into());
        }
    }
    attach_mounts(&bundle.join("mounts"), &mut spec, &mounts)?;
    if let (Some(netns), Some(linux)) = (netns, spec.linux_mut()) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
        let mut namespaces = linux.namespaces().clone().unwrap_or_default();
        namespaces.retain(|namespace| namespace.typ() != LinuxNamespaceType::Network);
        let network = LinuxNamespaceBuilder::default().typ(LinuxNamespaceType::Network).path(path).build();
        namespaces.push(network.map_err(io::Error::other)?);
        linux.set_namespaces(Some(namespaces));
    }
    let config = serde_json::to_vec(&spec)?;
    std::fs::write(bundle.join("config.json"), config)
}

/// Puts the mounts that came as descriptors where the runtime finds them by name, in the namespace of our own.
fn attach_mounts(dir: &Path, spec: &mut Spec, mounts: &[(usize, BorrowedFd<'_>)]) -> io::Result<()> {
    let Some(table) = spec.mounts_mut() else { return Ok(()) };
    for (index, mount) in mounts {
        let entry = table.get_mut(*index).ok_or(io::ErrorKind::InvalidInput)?;
        let place = dir.join(index.to_string());
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(mount)?.st_mode);
        let target: OwnedFd = if kind.is_dir() {
            std::fs::create_dir_all(&place)?;
            sys::file::open_directory(&place)?
        } else {
            std::fs::create_dir_all(dir)?;
            File::create(&place)?.into()
        };
        sys::mount::attach(mount, target)?;
        entry.set_source(Some(place));
    }
    Ok(())
}

/// A mount namespace of our own, into which the host's mounts still arrive.
fn leave_mounts() -> io::Result<()> {
    use rustix::mount::MountPropagationFlags;
    sys::process::unshare(Namespaces::MOUNT)?;
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", flags)?)
}

fn read_pid(path: &str) -> Result<Pid, ErrorReply> {
    let mut text = String::new();
    let file = File::open(path).map_err(io_failed("read the pid file"))?;
    file.take(32).read_to_string(&mut text).map_err(io_failed("read the pid file"))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| failed("read the pid file", format!("{text:?} is no process id")))
}

impl Io {
    fn new(terminal: bool, open_stdin: bool, output: bool, state_dir: &File) -> Result<Self, ErrorReply> {
        if terminal {
            return Self::console(state_dir).map_err(io_failed("make the console socket"));
        }
        Streams::pipes(open_stdin, output).map(Self::Pipes).map_err(io_failed("make pipes"))
    }

    fn console(state_dir: &File) -> io::Result<Self> {
        let path = own_path(state_dir.as_fd(), "console");
        // a former one may be left
        let _ = std::fs::remove_file(&path);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path)?)?;
        rustix::net::listen(&listener, 1)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Self::Console { listener, path, null })
    }

    /// What the command line says about them.
    fn words(&self) -> Vec<&OsStr> {
        match self {
            Self::Console { path, .. } => vec!["--console-socket".as_ref(), path.as_ref()],
            Self::Pipes(_) => Vec::new(),
        }
    }

    /// The runtime's own standard descriptors, which without a terminal become the process's.
    fn theirs(&self) -> [BorrowedFd<'_>; 3] {
        match self {
            Self::Console { null, .. } => [null.as_fd(); 3],
            Self::Pipes(streams) => streams.theirs(),
        }
    }

    fn into_ends(self, size: Option<(u16, u16)>) -> Result<Ends, ErrorReply> {
        match self {
            Self::Pipes(streams) => Ok(streams.into_ours()),
            Self::Console { listener, path, .. } => {
                let console = receive_console(&listener).map_err(io_failed("receive the terminal"))?;
                // it has served its purpose
                let _ = std::fs::remove_file(path);
                if let Some((rows, columns)) = size {
                    // a runtime that sends no terminal is found by its first use
                    let _ = sys::tty::set_size(&console, sys::tty::Size { rows, columns });
                }
                Ends::of_console(console).map_err(io_failed("duplicate the terminal"))
            }
        }
    }
}

/// The runtime has ended, so its message is there.
fn receive_console(listener: &OwnedFd) -> io::Result<OwnedFd> {
    let connection = rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?;
    let (_, fds) = sys::fd::recv(&connection, &mut [0; 4096])?;
    fds.into_iter().next().ok_or_else(|| io::Error::other("the runtime sent none"))
}
