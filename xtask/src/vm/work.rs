//! The guest's second disk: our programs and tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::disk;
use super::root::Kind;
use crate::run;

/// Where the guest mounts the disk: a guest's system serves any checkout.
pub(super) const PLACE: &str = "/checkout";
/// How many times slower than this machine the tests take the guest to be.
const SLOWER: u32 = 6;
/// Files of the checkout that tests read.
const READ: &[&str] = &["tests", "docs"];
/// What tests with peers read as well, if it has been made: a virtual environment, and small Debians.
const READ_WITH_PEERS: &[&str] = &["target/venv", "target/debian"];
/// Where the end-to-end tests begin; another package's are named like them.
const SUITE: &str = "tests/e2e/tests/suite/main.rs";
/// The newest client of Docker, which is no package of Debian's.
const CLIENT: &str = "/usr/local/bin/docker";

/// What is to be done in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Tests,
    /// Our programs are used, and no tests.
    Use,
}

/// Builds the programs and the tests, and makes the disk.
pub(super) fn prepare(kind: Kind, purpose: Purpose) -> Result<PathBuf> {
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))?;
    let dir = run::root().join("target/vm");
    std::fs::create_dir_all(&dir)?;
    let work = tempfile::tempdir_in(&dir)?;
    let tree = work.path().join("tree");
    copy(&programs_in(&run::programs("debug")?)?, &tree.join("programs"))?;
    std::fs::create_dir(tree.join("suite"))?;
    std::fs::create_dir(tree.join("target"))?;
    if purpose == Purpose::Tests {
        copy(&[suite()?], &tree.join("suite"))?;
    }
    let more = if kind == Kind::Peers { READ_WITH_PEERS } else { &[] };
    for folder in READ.iter().chain(more).filter(|folder| run::root().join(folder).exists()) {
        let to = tree.join(folder);
        // of what is a link here (the slash), the folder that it leads to
        run::run(Command::new("cp").arg("-aT").arg(run::root().join(folder).join("")).arg(to))?;
    }
    if Path::new(CLIENT).exists() {
        std::fs::copy(CLIENT, tree.join("suite/docker"))?;
    }
    let made = work.path().join("disk");
    disk::from_tree(&made, &tree, 8 << 30)?;
    // A guest that still runs keeps the disk that it has.
    let extension = if purpose == Purpose::Tests { "work" } else { "programs" };
    let disk = dir.join(kind.name()).with_extension(extension);
    std::fs::rename(&made, &disk)?;
    Ok(disk)
}

/// Where the guest has our programs.
pub(super) fn programs() -> String {
    format!("{PLACE}/programs")
}

/// The command that runs the tests which match one of `filters`.
pub(super) fn command(filters: &[&str]) -> String {
    let root = run::root();
    let root = root.display();
    // The tests know the paths that they were built at.
    let place = format!("mkdir -p {root} && {{ mountpoint -q {root} || mount --bind {PLACE} {root}; }} && ");
    // The virtual environment names the Python that it was made with by its path on this machine.
    let python = std::fs::read_link(run::root().join("target/venv/bin/python3")).unwrap_or_default();
    let python = match python.parent() {
        Some(parent) if python.is_absolute() && !python.starts_with("/usr/bin") => {
            format!("mkdir -p {} && ln -sf /usr/bin/python3 {} && ", parent.display(), python.display())
        }
        _ => String::new(),
    };
    format!(
        "{place}{python}cd {root}/tests/e2e && RUST_BACKTRACE=0 BERTH_TEST_MUST=apparmor BERTH_TEST_PATIENCE={SLOWER} BERTH_TEST_PROGRAMS={} \
         {root}/suite/suite {}",
        programs(),
        filters.join(" ")
    )
}

/// The end-to-end tests' program, which cargo names in its messages.
fn suite() -> Result<PathBuf> {
    // of the workspace, as `cargo xtask test` has built it already: alone, what it depends on has other features
    let args = ["test", "--quiet", "--workspace", "--test", "suite", "--no-run", "--message-format=json"];
    let messages = run::output(&mut run::cargo(args))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["src_path"].as_str().is_some_and(|path| path.ends_with(SUITE)))
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no test program")
}

fn programs_in(dir: &Path) -> Result<Vec<PathBuf>> {
    use std::os::unix::fs::PermissionsExt;
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
            programs.push(entry.path());
        }
    }
    Ok(programs)
}

/// Copies files without what only a debugger reads: the guest reads them from an emulated disk.
fn copy(files: &[PathBuf], to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for file in files {
        let name = file.file_name().context("no name")?.to_string_lossy().into_owned();
        let name = if name.starts_with("suite-") { "suite".to_owned() } else { name };
        run::run(Command::new("strip").arg("-o").arg(to.join(name)).arg(file))?;
    }
    Ok(())
}
