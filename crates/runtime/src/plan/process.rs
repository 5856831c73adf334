//! The process to be: strings made, numbers checked.

use std::ffi::CString;
use std::path::Path;

use oci_spec::runtime::{
    IOPriorityClass, LinuxSchedulerFlag, LinuxSchedulerPolicy, PosixRlimitType as Limit, Process, Scheduler,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::CpuSet;
use sys::caps::Sets;
use sys::tty::Size;

use super::caps;
use crate::error::{Error, Result};

/// Everything about the process that is known before it exists.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) has_home: bool,
    pub(crate) path: String,
    pub(crate) cwd: &'a Path,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: &'a [u32],
    pub(crate) umask: u32,
    pub(crate) caps: Sets,
    pub(crate) no_new_privileges: bool,
    pub(crate) rlimits: Vec<(Resource, Rlimit)>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) io_priority: Option<(u8, u8)>,
    pub(crate) scheduler: Option<sys::sched::Attributes>,
    /// Processors of an exec's process: before it enters its cgroup, and after that.
    pub(crate) affinity: [Option<CpuSet>; 2],
    pub(crate) size: Option<Size>,
    pub(crate) apparmor: Option<&'a str>,
    pub(crate) selinux: Option<&'a str>,
}

/// Where programs are looked for when the process has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn c_strings(what: &str, list: &[String]) -> Result<Vec<CString>> {
    let make = |s: &String| CString::new(s.as_str());
    list.iter().map(make).collect::<Result<_, _>>().or(Err(Error::invalid(what, "a string holds a NUL")))
}

/// Reads the process part of a specification.
pub(crate) fn plan(process: &Process) -> Result<Plan<'_>> {
    let argv = c_strings("args", process.args().as_deref().unwrap_or(&[]))?;
    if argv.first().is_none_or(|a| a.is_empty()) {
        return Err(Error::invalid("args", "the process has no program"));
    }
    if !process.cwd().is_absolute() {
        return Err(Error::invalid("cwd", format!("{}: must be absolute", process.cwd().display())));
    }
    let env = process.env().as_deref().unwrap_or(&[]);
    // the last assignment counts, as in the program's own getenv of a deduplicated list
    let value = |name: &str| env.iter().rev().find_map(|e| e.strip_prefix(name)?.strip_prefix('='));
    let user = process.user();
    let label = |text: &'_ Option<String>| text.is_some() && text.as_deref() != Some("");
    Ok(Plan {
        argv,
        env: c_strings("env", env)?,
        has_home: value("HOME").is_some_and(|home| !home.is_empty()),
        path: value("PATH").unwrap_or(DEFAULT_PATH).to_owned(),
        cwd: process.cwd(),
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().as_deref().unwrap_or(&[]),
        umask: user.umask().unwrap_or(0o022),
        caps: caps::plan(process.capabilities().as_ref()),
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        rlimits: rlimits(process)?,
        oom_score_adj: process.oom_score_adj(),
        io_priority: io_priority(process)?,
        scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
        affinity: affinity(process)?,
        size: process.console_size().as_ref().map(size),
        apparmor: process.apparmor_profile().as_deref().filter(|p| !p.is_empty()),
        selinux: if label(process.selinux_label()) { process.selinux_label().as_deref() } else { None },
    })
}

fn size(size: &oci_spec::runtime::Box) -> Size {
    let cut = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    Size { rows: cut(size.height()), columns: cut(size.width()) }
}

fn resource(typ: Limit) -> Resource {
    match typ {
        Limit::RlimitCpu => Resource::Cpu,
        Limit::RlimitFsize => Resource::Fsize,
        Limit::RlimitData => Resource::Data,
        Limit::RlimitStack => Resource::Stack,
        Limit::RlimitCore => Resource::Core,
        Limit::RlimitRss => Resource::Rss,
        Limit::RlimitNproc => Resource::Nproc,
        Limit::RlimitNofile => Resource::Nofile,
        Limit::RlimitMemlock => Resource::Memlock,
        Limit::RlimitAs => Resource::As,
        Limit::RlimitLocks => Resource::Locks,
        Limit::RlimitSigpending => Resource::Sigpending,
        Limit::RlimitMsgqueue => Resource::Msgqueue,
        Limit::RlimitNice => Resource::Nice,
        Limit::RlimitRtprio => Resource::Rtprio,
        Limit::RlimitRttime => Resource::Rttime,
    }
}

fn rlimits(process: &Process) -> Result<Vec<(Resource, Rlimit)>> {
    // the kernel's RLIM_INFINITY
    let value = |n: u64| (n != u64::MAX).then_some(n);
    let mut list: Vec<(Resource, Rlimit)> = Vec::new();
    for limit in process.rlimits().as_deref().unwrap_or(&[]) {
        let resource = resource(limit.typ());
        if list.iter().any(|(r, _)| *r == resource) {
            return Err(Error::invalid("rlimits", format!("{:?} is listed twice", limit.typ())));
        }
        list.push((resource, Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) }));
    }
    Ok(list)
}

fn affinity(process: &Process) -> Result<[Option<CpuSet>; 2]> {
    let Some(affinity) = process.exec_cpu_affinity() else { return Ok([None, None]) };
    let read = |list: &Option<String>| list.as_deref().filter(|l| !l.is_empty()).map(processors).transpose();
    Ok([read(affinity.initial())?, read(affinity.cpu_affinity_final())?])
}

/// A list like `0-3,7`.
fn processors(list: &str) -> Result<CpuSet> {
    let wrong = || Error::invalid("execCPUAffinity", format!("{list}: must be a list like 0-3,7"));
    let mut set = CpuSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n < CpuSet::MAX_CPU);
        let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
        if first > last {
            return Err(wrong());
        }
        (first..=last).for_each(|cpu| set.set(cpu));
    }
    Ok(set)
}

fn io_priority(process: &Process) -> Result<Option<(u8, u8)>> {
    let Some(priority) = process.io_priority() else { return Ok(None) };
    let class = match priority.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level = u8::try_from(priority.priority()).ok().filter(|p| *p < 8);
    let level = level.ok_or_else(|| Error::invalid("ioPriority", "the priority must be 0 to 7"))?;
    Ok(Some((class, level)))
}

fn scheduler(s: &Scheduler) -> Result<sys::sched::Attributes> {
    let policy = match s.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flag = |f: &LinuxSchedulerFlag| match f {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    let priority = u32::try_from(s.priority().unwrap_or(0));
    Ok(sys::sched::Attributes {
        policy,
        flags: s.flags().as_deref().unwrap_or(&[]).iter().map(flag).fold(0, |all, f| all | f),
        nice: s.nice().unwrap_or(0),
        priority: priority.or(Err(Error::invalid("scheduler", "the priority is negative")))?,
        runtime: s.runtime().unwrap_or(0),
        deadline: s.deadline().unwrap_or(0),
        period: s.period().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        let set = processors("0-2,7").unwrap();
        assert_eq!((set.count(), set.is_set(2), set.is_set(3), set.is_set(7)), (4, true, false, true));
        for wrong in ["x", "3-1", "0,,1", "99999", "-"] {
            assert!(processors(wrong).is_err(), "{wrong}");
        }
    }
}
