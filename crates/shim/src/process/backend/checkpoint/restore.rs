//! Processes from disk: CRIU runs as our child, in the container's cgroup and in a mount namespace that has the
//! container's root, and makes the first process our child as well (`--restore-sibling`).

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::mount::MountPropagationFlags;
use sys::Pid;
use sys::cgroup::Cgroup;
use sys::mount::{Attr, Change};
use sys::process::{CloneOptions, Namespaces};

use super::carried::Carried;
use super::{NETWORK, external, judge, last_words, mounts, words, work_directory};
use crate::process::backend::{Created, Handed, Pending, builtin, io_failed};
use crate::process::container::failed;
use crate::process::stdio::Streams;
use crate::protocol::{CreateRequest, ErrorKind, ErrorReply, RestoreRequest};

/// Where the root is attached, and where CRIU leaves the first process's number, in the work directory.
const ROOT: &str = "restored";
const PID_FILE: &str = "restored.pid";

/// Brings the processes back; they run when this returns.
pub(in crate::process::backend) fn restore(
    request: &CreateRequest,
    restore: &RestoreRequest,
    handed: Handed<'_>,
    state_dir: &File,
) -> Result<Created, ErrorReply> {
    let refused = |what: &str| ErrorReply::new(ErrorKind::Unsupported, format!("restore: {what}"));
    if !handed.mounts.is_empty() {
        return Err(refused("volumes with driver options, of images and with subpaths can't be restored"));
    }
    let carried = Carried::read(&restore.images)?;
    if carried.network != handed.netns.is_some() {
        return Err(refused("the container's network is of another kind than when the checkpoint was made"));
    }
    let work = work_directory(state_dir)?;
    let cgroup = builtin::make_cgroup(request)?;
    let streams = Streams::pipes(request.open_stdin, true).map_err(io_failed("make pipes"));
    let restored = streams.and_then(|streams| {
        let call = Call::new(request, restore, &carried, &handed, &streams, cgroup.as_ref(), &work)?;
        let pid = call.run(handed.rootfs.as_ref(), cgroup.as_ref(), &work)?;
        Ok((pid, streams.into_ours()))
    });
    match restored {
        Ok((pid, ends)) => {
            if let Some(cgroup) = &cgroup {
                cgroup.settle();
            }
            Ok(Created { pid, ends, cgroup, pending: Pending::Restored })
        }
        Err(error) => {
            if let Some(cgroup) = &cgroup {
                // the first error counts; whoever is left in it is half a container
                let _ = cgroup.kill();
                let _ = cgroup.remove();
            }
            Err(error)
        }
    }
}

/// A call, with the descriptors that it takes along.
struct Call<'a> {
    program: &'a Path,
    words: Vec<OsString>,
    inherited: Vec<BorrowedFd<'a>>,
    spec: &'a Spec,
}

impl<'a> Call<'a> {
    fn new(
        request: &'a CreateRequest,
        restore: &'a RestoreRequest,
        carried: &Carried,
        handed: &Handed<'a>,
        streams: &'a Streams,
        cgroup: Option<&Cgroup>,
        work: &Path,
    ) -> Result<Self, ErrorReply> {
        let mut words = words("restore", &restore.images, work);
        words.extend(["--root".into(), work.join(ROOT).into(), "--pidfile".into(), PID_FILE.into()]);
        words.extend(["--restore-detached", "--restore-sibling"].map(Into::into));
        let mut inherited = Vec::new();
        let mut inherit = |fd: BorrowedFd<'a>, key: &str| {
            words.extend(["--inherit-fd".into(), format!("fd[{}]:{key}", fd.as_raw_fd()).into()]);
            inherited.push(fd);
        };
        for (fd, key) in streams.theirs().into_iter().zip(&carried.streams.0) {
            if let Some(key) = key {
                inherit(fd, key);
            }
        }
        if let Some(netns) = handed.netns {
            inherit(netns, NETWORK);
        }
        for place in &carried.mounts {
            let source = mounts::source(&request.spec, cgroup.map(Cgroup::path), place);
            let gone = || format!("the container has no mount at {} any more", place.display());
            let source = source.ok_or_else(|| failed("restore", gone()))?;
            external(&mut words, format!("mnt[{}]:{}", place.display(), source.display()));
        }
        Ok(Self { program: &restore.criu, words, inherited, spec: &request.spec })
    }

    /// Runs it, and gives the first process.
    fn run(&self, rootfs: Option<&OwnedFd>, cgroup: Option<&Cgroup>, work: &Path) -> Result<Pid, ErrorReply> {
        let rootfs = rootfs.ok_or_else(|| failed("restore", "there is no root file system"))?;
        let said = last_words(work)?;
        let pid_file = work.join(PID_FILE);
        let _ = std::fs::remove_file(&pid_file);
        std::fs::create_dir_all(work.join(ROOT)).map_err(io_failed("make a place for the root"))?;
        let attach = builtin::attach_fds(cgroup)?;
        let program = Program::new(self.program, &self.words).map_err(io_failed("run criu"))?;
        let options = CloneOptions {
            namespaces: Namespaces::MOUNT,
            cgroup: cgroup.and_then(Cgroup::into_cgroup_fd),
            sibling: false,
        };
        let child = sys::process::clone3(&options, || {
            let Err(error) = self.become_criu(&program, rootfs, &attach, &said, &work.join(ROOT));
            // CRIU's own messages go to the same file
            let _ = rustix::io::write(&said, format!("Error: {error}\n").as_bytes());
            1
        });
        let child = child.map_err(|e| failed("run criu", e))?;
        judge("restore", child.wait().map_err(Into::into), work)?;
        read_pid(&pid_file)
    }

    /// The child's side.
    fn become_criu(
        &self,
        program: &Program,
        rootfs: &OwnedFd,
        attach: &[OwnedFd],
        said: &File,
        place: &Path,
    ) -> io::Result<std::convert::Infallible> {
        rustix::stdio::dup2_stdout(said)?;
        rustix::stdio::dup2_stderr(said)?;
        sys::cgroup::attach_self(attach).map_err(|(_, errno)| errno)?;
        if makes(self.spec, LinuxNamespaceType::Cgroup) {
            sys::process::unshare(Namespaces::CGROUP)?;
        }
        // what happens here must not travel to the host
        rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        sys::mount::attach(rootfs, sys::file::open_directory(place)?)?;
        if self.spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly).unwrap_or(false) {
            sys::mount::change(rootfs, &Change { set: Attr::RDONLY, ..Change::default() })?;
        }
        for fd in &self.inherited {
            sys::fd::set_cloexec(fd, false)?;
        }
        sys::signal::reset()?;
        Err(sys::process::exec(&program.path, &program.argv, &program.envp).into())
    }
}

/// Whether the specification asks for a new namespace of this kind.
fn makes(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or(&[]);
    namespaces.iter().any(|namespace| namespace.typ() == kind && namespace.path().is_none())
}

/// A program as the kernel takes it.
struct Program {
    path: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
}

impl Program {
    fn new(path: &Path, words: &[OsString]) -> io::Result<Self> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let argv = std::iter::once(OsStr::new("criu")).chain(words.iter().map(OsString::as_os_str));
        let assignment = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            text(&name)
        };
        Ok(Self {
            path: text(path.as_os_str())?,
            argv: argv.map(text).collect::<io::Result<_>>()?,
            envp: std::env::vars_os().map(assignment).collect::<io::Result<_>>()?,
        })
    }
}

fn read_pid(path: &PathBuf) -> Result<Pid, ErrorReply> {
    let bytes = sys::file::read_bounded(path, 32).map_err(io_failed("read criu's pid file"))?;
    let pid =
        std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw);
    pid.ok_or_else(|| failed("read criu's pid file", "it holds no process id"))
}
