//! `cpuset.*` (`admin-guide/cgroup-v1/cpusets.rst`).

use std::path::Path;

use super::super::dir::Dir;
use super::super::{CgroupPath, Controller, Cpuset, Error, Result};

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

pub(super) fn apply(dir: Option<&Dir>, cpuset: &Cpuset) -> Result<()> {
    let wanted = [&cpuset.cpus, &cpuset.mems];
    if wanted.iter().all(|list| list.is_none()) {
        return Ok(());
    }
    let missing = Error::NoController { controller: Controller::Cpuset, setting: "cpuset" };
    let dir = dir.ok_or(missing)?;
    FILES.iter().zip(wanted).try_for_each(|(file, list)| dir.write_some(file, list.as_ref()))
}

/// A new v1 cpuset is empty and takes no process: each level gets its parent's lists. Levels above the
/// last also get `cgroup.clone_children`, with which the kernel does this for the next one itself.
pub(super) fn inherit(mount: &Path, path: &CgroupPath, dir: &Dir) -> Result<()> {
    if is_filled(dir)? {
        return Ok(());
    }
    let mut above = Dir::open(mount.to_path_buf())?;
    for level in path.levels() {
        let here = Dir::open(mount.join(level))?;
        if !is_filled(&here)? {
            for file in FILES {
                copy_list(&above, &here, file)?;
            }
        }
        if level != path.relative() {
            here.write("cgroup.clone_children", 1)?;
        }
        above = here;
    }
    Ok(())
}

fn is_filled(dir: &Dir) -> Result<bool> {
    Ok(!dir.read(FILES[0])?.trim().is_empty() && !dir.read(FILES[1])?.trim().is_empty())
}

fn copy_list(from: &Dir, to: &Dir, file: &str) -> Result<()> {
    if to.read(file)?.trim().is_empty() { to.write(file, from.read(file)?.trim_end()) } else { Ok(()) }
}
