//! The check that every test ends with: no mount, network namespace, veth, rule, cgroup, process or file of
//! the daemon is left.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::daemon::Berth;
use crate::{image, programs};

/// After `rm -f` of everything, with the daemon still up: no container has left anything.
pub fn no_container(berth: &Berth) -> Result<()> {
    let tag = tag(berth);
    // A namespace dies shortly after its last process, asynchronously: hence `eventually`.
    programs::eventually("what containers leave is gone", || {
        let mut left = shims(berth.root())?;
        left.extend(cgroups(&tag, 1)?);
        left.extend(veths(berth, &tag)?);
        left.extend(mounts(berth.root())?);
        left.extend(files(&berth.data_root())?);
        Ok(left.is_empty().then_some(()))
    })
    .with_context(|| report(berth, &tag))
}

/// After the daemon's end: nothing at all.
pub fn nothing(berth: &Berth) -> Result<()> {
    let tag = tag(berth);
    programs::eventually("what the daemon leaves is gone", || {
        let mut left = processes(berth.root())?;
        left.extend(cgroups(&tag, 0)?);
        left.extend(veths(berth, &tag)?);
        left.extend(links(berth, &tag)?);
        left.extend(tables(berth, &tag)?);
        left.extend(mounts(berth.root())?);
        Ok(left.is_empty().then_some(()))
    })
    .with_context(|| report(berth, &tag))
}

/// What containers have below the data root. The trash is emptied in the background.
fn files(data_root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for below in ["containers", "store/snapshots", "store/trash"] {
        found.extend(list(&data_root.join(below))?.into_iter().map(|path| path.display().to_string()));
    }
    Ok(found)
}

fn report(berth: &Berth, tag: &str) -> String {
    format!(
        "left: processes {:?}, cgroups {:?}, veths {:?}, links {:?}, tables {:?}, mounts {:?}, files {:?}",
        processes(berth.root()),
        cgroups(tag, 0),
        veths(berth, tag),
        links(berth, tag),
        tables(berth, tag),
        mounts(berth.root()),
        files(&berth.data_root()),
    )
}

/// The instance tag that berthd derives from its data root.
pub fn tag(berth: &Berth) -> String {
    image::sha256(berth.data_root().as_os_str().as_encoded_bytes())[..8].to_owned()
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", dir.display())),
    }
}

/// Processes whose command line or working place names `root`.
pub fn processes(root: &Path) -> Result<Vec<String>> {
    let root = root.as_os_str().as_encoded_bytes();
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in list(Path::new("/proc"))? {
        let Some(pid) = entry.file_name().and_then(|name| name.to_str()) else { continue };
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == me {
            continue;
        }
        let Ok(command) = std::fs::read(entry.join("cmdline")) else { continue };
        if command.windows(root.len()).any(|part| part == root) {
            found.push(format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    Ok(found)
}

fn shims(root: &Path) -> Result<Vec<String>> {
    Ok(processes(root)?.into_iter().filter(|line| line.contains("berth-shim")).collect())
}

/// Ends what a failed test left running.
pub fn kill_all_below(root: &Path) {
    for line in processes(root).unwrap_or_default() {
        let pid =
            line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Cgroup directories of the instance, at least `depth` levels below its own.
fn cgroups(tag: &str, depth: usize) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    roots.extend(list(Path::new("/sys/fs/cgroup"))?.into_iter().filter(|path| path.is_dir()));
    for hierarchy in roots {
        let ours = hierarchy.join(format!("berth-{tag}"));
        if !ours.exists() {
            continue;
        }
        if depth == 0 {
            found.push(ours.display().to_string());
        } else {
            let below = list(&ours)?.into_iter().filter(|path| path.is_dir());
            found.extend(below.map(|path| path.display().to_string()));
        }
    }
    Ok(found)
}

/// The instance's bridges: the default one by its name, those of networks by what is written on them.
fn links(berth: &Berth, tag: &str) -> Result<Vec<String>> {
    let (name, alias) = (format!("b-{tag}"), format!("alias berth-{tag}"));
    let all = ip(berth, &["-o", "link"])?;
    let ours = all.lines().filter(|line| line.contains(&name) || line.contains(&alias));
    Ok(ours.map(str::to_owned).collect())
}

/// veths that are ports of the instance's bridges.
fn veths(berth: &Berth, tag: &str) -> Result<Vec<String>> {
    let bridges: Vec<_> = links(berth, tag)?
        .iter()
        .filter_map(|line| Some(format!("master {} ", line.split(": ").nth(1)?)))
        .collect();
    let all = ip(berth, &["-o", "link"])?;
    let ports = all.lines().filter(|line| bridges.iter().any(|bridge| line.contains(bridge)));
    Ok(ports.map(str::to_owned).collect())
}

fn tables(berth: &Berth, tag: &str) -> Result<Vec<String>> {
    let out = tool(berth, Command::new("/usr/sbin/nft").args(["list", "tables"]))?;
    let ours = format!("berth-{tag}");
    Ok(out.lines().filter(|line| line.contains(&ours)).map(str::to_owned).collect())
}

fn ip(berth: &Berth, args: &[&str]) -> Result<String> {
    tool(berth, Command::new("/usr/sbin/ip").args(args))
}

/// Looks from where the daemon lives.
fn tool(berth: &Berth, command: &mut Command) -> Result<String> {
    match berth.netns() {
        Some(netns) => netns.run(command),
        None => programs::run(command),
    }?
    .ok()
}

/// Mounts that have to do with `root`: at a place below it, or of something below it.
pub fn mounts(root: &Path) -> Result<Vec<String>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let root = root.display().to_string();
    Ok(table.lines().filter(|line| line.contains(&root)).map(str::to_owned).collect())
}
