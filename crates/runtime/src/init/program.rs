//! Finding the program in the container, and becoming it.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use sys::Errno;
use sys::path::Root;

use crate::error::{Context, Error, Kind, Result};
use crate::plan::process::Plan;

/// The environment, with a `HOME` from the container's passwd file when there is none.
pub(super) fn environment(process: &Plan<'_>) -> Result<Vec<CString>> {
    let mut env = process.env.clone();
    if !process.has_home {
        let home = home(process.uid).unwrap_or_else(|| "/".to_owned());
        env.retain(|e| !e.as_bytes().starts_with(b"HOME="));
        env.push(CString::new(format!("HOME={home}")).or(Err(Error::invalid("env", "HOME holds a NUL")))?);
    }
    Ok(env)
}

fn home(uid: u32) -> Option<String> {
    let passwd = Root::open_in_root("/").ok()?.read_bounded("etc/passwd", sys::users::MAX_FILE).ok()?;
    let who = sys::users::resolve(&uid.to_string(), &passwd, b"").ok()?;
    (!who.home.is_empty()).then_some(who.home)
}

/// The path of the program, as the final user sees it.
pub(super) fn find(process: &Plan<'_>) -> Result<CString> {
    let name = process.argv.first().map(CString::as_c_str).unwrap_or(c"");
    if name.to_bytes().contains(&b'/') {
        return match runnable(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(errno) => Err(missing(name, "stat", errno)),
        };
    }
    for directory in process.path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(OsStr::from_bytes(name.to_bytes()));
        let Ok(candidate) = CString::new(candidate.as_os_str().as_bytes()) else { continue };
        if runnable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    let text = format!("\"{}\": executable file not found in $PATH", name.to_string_lossy());
    Err(Error::text("exec", text).with_kind(Kind::NotFound))
}

fn missing(name: &CStr, call: &str, errno: Errno) -> Error {
    let name = name.to_string_lossy();
    let reason = reason(errno);
    match errno {
        Errno::NOENT | Errno::NOTDIR => Error {
            errno: Some(errno),
            ..Error::text("exec", format!("\"{name}\": {call} {name}: {reason}"))
        }
        .with_kind(Kind::NotFound),
        _ => Error { errno: Some(errno), ..Error::text("exec", format!("\"{name}\": {reason}")) }
            .with_kind(Kind::NotExecutable),
    }
}

/// The words that Docker and others look for to tell "not found" from "not executable".
fn reason(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::ISDIR => "is a directory: permission denied".to_owned(),
        Errno::NOTDIR => "not a directory".to_owned(),
        Errno::NOEXEC => "exec format error".to_owned(),
        Errno::TXTBSY => "text file busy".to_owned(),
        Errno::TOOBIG => "argument list too long".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

/// Whether this user may run the file.
fn runnable(path: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // a filter that is already there may not know the call: the mode bits then
        Err(Errno::NOSYS | Errno::PERM) if stat.st_mode & 0o111 != 0 => Ok(()),
        Err(Errno::NOSYS | Errno::PERM) => Err(Errno::ACCESS),
        other => other,
    }
}

/// Nothing but 0, 1, 2 and what was asked for goes on to the program.
pub(super) fn keep_descriptors(preserve: u32) -> Result<()> {
    sys::process::close_on_exec_from(3 + preserve).step("close descriptors", "")
}

/// Becomes the program; only an error comes back.
pub(super) fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> Error {
    let errno = sys::process::exec(path, argv, env);
    let kind =
        if matches!(errno, Errno::NOENT | Errno::NOTDIR) { Kind::NotFound } else { Kind::NotExecutable };
    let text = format!("{}: {}", path.to_string_lossy(), reason(errno));
    Error { errno: Some(errno), ..Error::text("exec", text) }.with_kind(kind)
}
