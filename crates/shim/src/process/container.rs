//! The container itself: from the request to a process, and everything that is done to it afterwards.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jiff::Timestamp;
use oci_spec::runtime::LinuxResources;
use sys::Pid;
use sys::cgroup::{Cgroup, OomWatch};
use sys::signal::Signal;

use super::backend::{self, Backend, Handed, Pending};
use super::session::Ends;
use crate::protocol::{CreateRequest, ErrorKind, ErrorReply, ExecRequest, ExitRecord};

/// What is known once the container was made.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    /// Which of its runs this is.
    pub(super) run: u64,
    backend: Backend,
    /// The first process, until it is started.
    pending: Option<Pending>,
    cgroup: Option<Cgroup>,
    pub(super) oom: Option<OomWatch>,
    pub(super) oom_killed: bool,
    pub(super) netns: Option<OwnedFd>,
    /// Mounts that other containers may ask for, by name.
    kept: Vec<(String, OwnedFd)>,
    data_dir: File,
    state_dir: File,
    /// Processes may outlive the first one: it has no process namespace of its own.
    shared_pids: bool,
    pub(super) paused: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) exit: Option<ExitRecord>,
}

/// A process that was made, and our ends of its streams.
pub(super) struct Made {
    pub(super) pid: Pid,
    pub(super) ends: Ends,
}

/// Something on our side, or the kernel's, has failed.
pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> ErrorReply {
    ErrorReply::new(ErrorKind::Failed, format!("{what}: {error}"))
}

impl Container {
    /// Make the container; its first process waits.
    pub(super) fn create(
        request: &CreateRequest,
        fds: Vec<OwnedFd>,
        state_dir: &File,
    ) -> Result<(Self, Made), ErrorReply> {
        let mut fds = fds.into_iter();
        let mut next = |wanted: bool| match wanted.then(|| fds.next()) {
            None => Ok(None),
            Some(None) => Err(ErrorReply::new(ErrorKind::Invalid, "create: a file descriptor is missing")),
            Some(fd) => Ok(fd),
        };
        let rootfs = next(request.rootfs_fd)?;
        let netns = next(request.netns_fd)?;
        let mounts = request.mounts.iter().map(|_| next(true)).collect::<Result<Vec<_>, _>>()?;
        let mounts: Vec<_> = request.mounts.iter().zip(mounts.into_iter().flatten()).collect();
        let data_dir =
            File::open(&request.data_dir).map_err(|e| failed("open the container's directory", e))?;
        crate::exit::remove(&data_dir).map_err(|e| failed("remove the former exit record", e))?;
        let backend = Backend::new(request);
        let handed = Handed {
            rootfs,
            netns: netns.as_ref().map(AsFd::as_fd),
            mounts: mounts.iter().map(|(mount, fd)| (mount.index, fd.as_fd())).collect(),
        };
        let made = backend.create(request, handed, state_dir)?;
        let kept = mounts.into_iter().filter(|(mount, _)| !mount.keep.is_empty());
        let oom = made.cgroup.as_ref().and_then(|cgroup| cgroup.oom_events().ok());
        let container = Self {
            id: request.id.clone(),
            run: request.run,
            backend,
            pending: Some(made.pending),
            cgroup: made.cgroup,
            oom,
            oom_killed: false,
            netns,
            kept: kept.map(|(mount, fd)| (mount.keep.clone(), fd)).collect(),
            data_dir,
            state_dir: state_dir.try_clone().map_err(|e| failed("create", e))?,
            shared_pids: !backend::has_own_pids(&request.spec),
            paused: false,
            started_at: None,
            exit: None,
        };
        Ok((container, Made { pid: made.pid, ends: made.ends }))
    }

    /// A mount that was kept, and the mount namespace that it is attached in.
    pub(super) fn kept_mount(&self, name: &str, init: Pid) -> Result<Vec<OwnedFd>, ErrorReply> {
        let unknown = || ErrorReply::new(ErrorKind::Invalid, format!("mount: {name} is not kept"));
        let (_, mount) = self.kept.iter().find(|(kept, _)| kept == name).ok_or_else(unknown)?;
        // an outside runtime has bound its container's from ours
        let owner = match self.backend.outside() {
            Some(_) => "self".to_owned(),
            None => init.as_raw_nonzero().to_string(),
        };
        let namespace = File::open(format!("/proc/{owner}/ns/mnt")).map_err(|e| failed("mount", e))?;
        let mount = mount.try_clone().map_err(|e| failed("mount", e))?;
        Ok(vec![mount, namespace.into()])
    }

    /// Let the first process run; since when it does.
    pub(super) fn start(&mut self) -> Result<Timestamp, ErrorReply> {
        let invalid = || ErrorReply::new(ErrorKind::InvalidState, "start: the container was started before");
        let pending = self.pending.take().ok_or_else(invalid)?;
        self.backend.start(&self.id, pending, &self.state_dir)?;
        let now = Timestamp::now();
        self.started_at = Some(now);
        Ok(now)
    }

    /// Start one more process.
    pub(super) fn exec(
        &self,
        init: Pid,
        request: &ExecRequest,
        created: &CreateRequest,
    ) -> Result<Made, ErrorReply> {
        let (pid, ends) = self.backend.exec(init, request, created, self.cgroup.as_ref(), &self.state_dir)?;
        Ok(Made { pid, ends })
    }

    /// Signal the first process, or all.
    pub(super) fn kill(&self, init: Pid, signal: Signal, all: bool) -> Result<(), ErrorReply> {
        if let Some(outside) = self.backend.outside() {
            return outside.kill(&self.id, signal.number(), all, &self.state_dir);
        }
        match (&self.cgroup, all) {
            (Some(cgroup), true) if signal == Signal::KILL => cgroup.kill().map_err(|e| failed("kill", e)),
            (Some(cgroup), true) => {
                let pids = cgroup.procs().map_err(|e| failed("kill", e))?;
                pids.into_iter().filter_map(Pid::from_raw).for_each(|pid| {
                    // whoever has ended meanwhile needs no signal
                    let _ = sys::signal::kill(pid, signal);
                });
                Ok(())
            }
            // it is our child and not reaped, so the number is its own
            _ => sys::signal::kill(init, signal).map_err(|e| failed("kill", e)),
        }
    }

    pub(super) fn set_paused(&mut self, paused: bool) -> Result<(), ErrorReply> {
        let verb = if paused { "pause" } else { "resume" };
        if self.paused == paused {
            let state = if paused { "paused already" } else { "not paused" };
            return Err(ErrorReply::new(
                ErrorKind::InvalidState,
                format!("{verb}: the container is {state}"),
            ));
        }
        if let Some(outside) = self.backend.outside() {
            outside.set_paused(&self.id, paused, &self.state_dir)?;
        } else {
            let cgroup = self.cgroup(verb)?;
            if paused { cgroup.freeze() } else { cgroup.thaw() }.map_err(|e| failed(verb, e))?;
        }
        self.paused = paused;
        Ok(())
    }

    pub(super) fn update(&self, resources: &LinuxResources) -> Result<(), ErrorReply> {
        if let Some(outside) = self.backend.outside() {
            return outside.update(&self.id, resources, &self.state_dir);
        }
        backend::update(self.cgroup("update")?, resources)
    }

    /// All processes, as the host numbers them; `init` is the first one.
    pub(super) fn pids(&self, init: Option<Pid>) -> Result<Vec<i32>, ErrorReply> {
        match &self.cgroup {
            Some(cgroup) => cgroup.procs().map_err(|e| failed("ps", e)),
            None => self.same_pids(init),
        }
    }

    /// All processes of its own process namespace: what there is to go by without a cgroup.
    fn same_pids(&self, init: Option<Pid>) -> Result<Vec<i32>, ErrorReply> {
        if self.shared_pids {
            return self.cgroup("ps").map(|_| Vec::new());
        }
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = init.and_then(|pid| namespace(pid.as_raw_nonzero().get()));
        let own =
            own.ok_or_else(|| ErrorReply::new(ErrorKind::InvalidState, "ps: the container does not run"))?;
        let entries = std::fs::read_dir("/proc").map_err(|e| failed("ps", e))?;
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Ok(pids.filter(|pid| namespace(*pid).is_some_and(|other| other == own)).collect())
    }

    fn cgroup(&self, verb: &str) -> Result<&Cgroup, ErrorReply> {
        let none = || {
            ErrorReply::new(ErrorKind::Unsupported, format!("{verb}: the container has no cgroup of its own"))
        };
        self.cgroup.as_ref().ok_or_else(none)
    }

    /// Look whether the kernel has killed for want of memory; whether that is news.
    pub(super) fn notice_oom(&mut self) -> bool {
        let killed = self.oom.as_mut().is_some_and(|oom| oom.take().is_ok_and(|count| count > 0));
        killed && !std::mem::replace(&mut self.oom_killed, true)
    }

    /// The first process has ended: whoever outlives it is killed.
    pub(super) fn end_others(&self) {
        if let Some(cgroup) = self.cgroup.as_ref().filter(|_| self.shared_pids || self.paused) {
            // whoever escapes is seen again when the cgroup is removed
            let _ = cgroup.kill();
        }
    }

    /// Put the end on disk. A full disk is told in the record that the daemon gets.
    pub(super) fn record(&mut self, code: i32, signal: Option<i32>, at: Timestamp) -> ExitRecord {
        let (oom_killed, started_at, run) = (self.oom_killed, self.started_at, self.run);
        let mut record = ExitRecord { code, signal, oom_killed, started_at, at, run, error: None };
        if let Err(e) = crate::exit::write(&self.data_dir, &record) {
            record.error = Some(format!("write {}: {e}", crate::exit::FILE));
        }
        self.exit = Some(record.clone());
        record
    }

    /// Remove what the kernel does not: the cgroup, and an outside runtime's state.
    pub(super) fn clean_up(&mut self) -> Result<(), ErrorReply> {
        // a first process that waits ends with this
        self.pending = None;
        self.oom = None;
        if let Some(outside) = self.backend.outside() {
            outside.delete(&self.id, &self.state_dir);
        }
        match self.cgroup.take() {
            Some(cgroup) => remove_cgroup(&cgroup),
            None => Ok(()),
        }
    }
}

fn remove_cgroup(cgroup: &Cgroup) -> Result<(), ErrorReply> {
    // nobody should be left; if somebody is, it is not wanted
    let _ = cgroup.kill();
    cgroup.remove().map_err(|e| failed("remove the cgroup", e))
}

/// A directory's descriptor as a path that the kernel resolves without names.
pub(super) fn fd_path(fd: BorrowedFd<'_>) -> String {
    sys::fd::proc_path(fd)
}

/// Name of the kept request in the state directory.
pub(super) const KEPT: &str = "create.json";

/// Keep the request for later `exec`s on disk rather than in memory.
pub(super) fn keep(state_dir: &File, frame: &[u8]) -> io::Result<()> {
    sys::file::write_atomic(state_dir, KEPT, frame, 0o600)
}
