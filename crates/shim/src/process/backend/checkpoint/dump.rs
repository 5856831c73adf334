//! Processes to disk.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sys::Pid;
use sys::process::Exit;
use sys::spawn::Command;

use super::carried::{Carried, Streams};
use super::{NETWORK, external, judge, last_words, mounts, words, work_directory};
use crate::process::backend::{io_failed, place};
use crate::protocol::{CheckpointRequest, CreateRequest, ErrorKind, ErrorReply};

/// Writes the container's processes. When it fails they run on as they did.
pub(in crate::process) fn dump(
    init: Pid,
    created: &CreateRequest,
    request: &CheckpointRequest,
    streams: Streams,
    state_dir: &File,
) -> Result<(), ErrorReply> {
    let pid = init.as_raw_nonzero().get();
    let read = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
    let table = read.map_err(io_failed("read the container's mounts"))?;
    let places = mounts::external(&table, &created.spec);
    refuse(created, &places)?;
    let network = foreign_network(pid).map_err(io_failed("look at the container's network"))?;
    let work = work_directory(state_dir)?;
    let mut words = words("dump", &request.images, &work);
    words.extend(["--tree".into(), pid.to_string().into()]);
    words.extend(["--enable-external-masters", "--enable-external-sharing"].map(Into::into));
    if request.leave_running {
        words.push("--leave-running".into());
    }
    for place in &places {
        let place = place.display();
        external(&mut words, format!("mnt[{place}]:{place}"));
    }
    streams.files().for_each(|key| external(&mut words, key.to_owned()));
    if let Some(inode) = network {
        external(&mut words, format!("net[{inode}]:{NETWORK}"));
    }
    let said = last_words(&work)?;
    judge("dump", call(&request.criu, &words, &said), &work)?;
    // last: it says that the images are whole
    Carried::new(streams, places, network.is_some()).write(&request.images)
}

/// What could be written and not brought back.
fn refuse(created: &CreateRequest, places: &[std::path::PathBuf]) -> Result<(), ErrorReply> {
    let refused = |what: String| Err(ErrorReply::new(ErrorKind::Unsupported, format!("checkpoint: {what}")));
    if !created.mounts.is_empty() {
        return refused(
            "volumes with driver options, of images and with subpaths can't be restored".to_owned(),
        );
    }
    let cgroup = created.cgroup.as_ref().map(place).transpose()?;
    let cgroup = cgroup.as_ref().map(|(path, _)| path);
    match places.iter().find(|place| mounts::source(&created.spec, cgroup, place).is_none()) {
        Some(place) => refused(format!("the mount at {} can't be restored", place.display())),
        None => Ok(()),
    }
}

/// The inode of the process's network namespace, unless it is ours.
fn foreign_network(pid: i32) -> io::Result<Option<u64>> {
    let inode = |who: &str| std::fs::metadata(format!("/proc/{who}/ns/net")).map(|found| found.ino());
    let theirs = inode(&pid.to_string())?;
    Ok((theirs != inode("self")?).then_some(theirs))
}

fn call(criu: &Path, words: &[OsString], said: &File) -> io::Result<Exit> {
    let null = File::open("/dev/null")?;
    let mut call = Command::new(criu, "criu")?;
    for mut assignment in std::env::vars_os() {
        assignment.0.push("=");
        assignment.0.push(assignment.1);
        call.env(assignment.0)?;
    }
    for word in words {
        call.arg(word)?;
    }
    call.map(null.as_fd(), 0).map(said.as_fd(), 1).map(said.as_fd(), 2);
    Ok(call.spawn()?.wait()?)
}
