//! `--init`: this program, bound into the container as `docker-init`, is its first process. It starts the real one,
//! hands signals on to it, reaps whatever is orphaned, and ends as the real one ends. It does what tini does (tini(1)),
//! with which Docker fills this place, and heeds the variables by which a container steers that one.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use sys::memory::Doze;
use sys::process::{CloneOptions, Exit, clone3, try_wait_any};
use sys::signal::{Signal, SignalFd, kill, kill_group};

/// The name by which it is called inside.
pub const NAME: &str = "docker-init";

/// Set to anything: signals go to the program's whole process group.
const TO_GROUP: &str = "TINI_KILL_PROCESS_GROUP";
/// Set to anything: orphans come to us although we are not the first process (`--pid host`).
const SUBREAPER: &str = "TINI_SUBREAPER";

/// Signals that mean us alone: faults, and the terminal's word to a background process, which is ignored.
const OURS: [Signal; 10] = [
    Signal::CHLD,
    Signal::FPE,
    Signal::ILL,
    Signal::SEGV,
    Signal::BUS,
    Signal::ABRT,
    Signal::TRAP,
    Signal::SYS,
    Signal::TTIN,
    Signal::TTOU,
];

/// Whether this is what the program was called as.
#[must_use]
pub fn is_called(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| std::path::Path::new(program).file_name().is_some_and(|name| name == NAME))
}

/// Runs the program behind `--` and gives the exit code for both of us.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let mut words = arguments.skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        return fail(1, "no program to run");
    };
    // blocked before there is anyone to be told: nothing gets lost
    let signals = match SignalFd::new(&Signal::all_catchable()) {
        Ok(signals) => signals,
        Err(errno) => return fail(1, &format!("signalfd: {errno}")),
    };
    if std::env::var_os(SUBREAPER).is_some()
        && let Err(errno) = sys::process::become_subreaper()
    {
        return fail(1, &format!("prctl: {errno}"));
    }
    match clone3(&CloneOptions::default(), || begin(&program, words)) {
        Ok(child) => serve(&signals, child.pid),
        Err(errno) => fail(1, &format!("clone3: {errno}")),
    }
}

/// The real program's side: a process group of its own, in the foreground, with no signal blocked.
fn begin(program: &OsString, words: impl Iterator<Item = OsString>) -> i32 {
    let leads = rustix::process::setpgid(None, None).is_ok();
    if leads && let Some(own) = rustix::process::getpgid(None).ok() {
        // a terminal's signals go to the program; without a terminal there is nothing to do
        let _ = rustix::termios::tcsetpgrp(std::io::stdin(), own);
    }
    if let Err(errno) = sys::signal::reset() {
        return fail(1, &format!("sigprocmask: {errno}")).into();
    }
    let error = Command::new(program).args(words).exec();
    let code = match error.kind() {
        ErrorKind::NotFound => 127,
        ErrorKind::PermissionDenied => 126,
        _ => 1,
    };
    fail(code, &format!("exec {}: {error}", program.display())).into()
}

fn serve(signals: &SignalFd, child: sys::Pid) -> u8 {
    // it does so itself as well; whoever comes first, no signal misses the group
    let _ = rustix::process::setpgid(Some(child), Some(child));
    let tell = if std::env::var_os(TO_GROUP).is_some() { kill_group } else { kill };
    sys::memory::release();
    let doze = Doze::new();
    loop {
        if let Err(errno) = doze.until_readable(signals) {
            return fail(1, &format!("poll: {errno}"));
        }
        while let Ok(Some(signal)) = signals.next() {
            if !OURS.contains(&signal) {
                // it may have ended just now
                let _ = tell(child, signal);
            }
        }
        while let Ok(Some((pid, exit))) = try_wait_any() {
            if pid == child {
                return code(exit);
            }
        }
    }
}

fn code(exit: Exit) -> u8 {
    u8::try_from(exit.shell_code()).unwrap_or(u8::MAX)
}

fn fail(code: u8, why: &str) -> u8 {
    // without standard error there is nobody to tell
    let _ = writeln!(std::io::stderr(), "{NAME}: {why}");
    code
}
