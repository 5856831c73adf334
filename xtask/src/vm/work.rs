//! The guest's second disk: our programs and tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::guest::Module;
use super::root::Kind;
use super::{disk, parts};
use crate::run;
use crate::test::Needs;

/// Where the guest mounts the disk: a guest's system serves any checkout.
pub(super) const PLACE: &str = "/checkout";
/// How many times slower than this machine the tests take the guest to be.
const SLOWER: u32 = 6;
/// Files of the checkout that tests read.
const READ: &[&str] = &["tests", "docs"];
/// What tests with peers read as well, if it has been made: a virtual environment, and small Debians.
const READ_WITH_PEERS: &[&str] = &["target/venv", "target/debian", "target/youki", "crates"];
/// The package of the end-to-end tests, and its program of them.
const SUITE: (&str, &str) = ("tests/e2e", "suite");
/// Whom this machine trusts: what is met on the way out may have a certificate that nobody else knows.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The newest client of Docker, which is no package of Debian's.
const CLIENT: &str = "/usr/local/bin/docker";

/// What is to be done in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The end-to-end tests.
    Tests,
    /// These, and the tests of [`parts::PACKAGES`].
    Everything,
    /// Our programs are used, and no tests.
    Use,
}

/// A program of tests.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its package's folder, from the checkout's root: the place where it runs.
    pub(crate) package: String,
    /// Its name in the guest, which is the only one of this name.
    pub(super) name: String,
    /// Here.
    pub(crate) path: PathBuf,
}

/// Builds the programs and the tests, and makes the disk. The programs of tests are those of the purpose.
pub(super) fn prepare(kind: Kind, purpose: Purpose) -> Result<(PathBuf, Vec<Program>)> {
    if kind == Kind::Peers {
        Needs::met()?;
    }
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))?;
    let dir = run::root().join("target/vm");
    std::fs::create_dir_all(&dir)?;
    let work = tempfile::tempdir_in(&dir)?;
    let tree = work.path().join("tree");
    for folder in ["programs", "suite", "target"] {
        std::fs::create_dir_all(tree.join(folder))?;
    }
    for program in programs_in(&run::programs("debug")?)? {
        copy(&program, &tree.join("programs").join(program.file_name().context("no name")?))?;
    }
    let tests = tests(purpose)?;
    for program in &tests {
        copy(&program.path, &tree.join("suite").join(&program.name))?;
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
    if Path::new(TRUSTED).exists() {
        std::fs::copy(TRUSTED, tree.join("suite/trusted.crt"))?;
    }
    let made = work.path().join("disk");
    disk::from_tree(&made, &tree, 8 << 30)?;
    // A guest that still runs keeps the disk that it has.
    let extension = match purpose {
        Purpose::Tests => "work",
        Purpose::Everything => "parts",
        Purpose::Use => "programs",
    };
    let disk = dir.join(format!("{}.{extension}", kind.name()));
    std::fs::rename(&made, &disk)?;
    Ok((disk, tests))
}

/// Where the guest has our programs.
pub(super) fn programs() -> String {
    format!("{PLACE}/programs")
}

/// The command that runs the tests of `program` which match one of `filters`; those of the kernel's security module must
/// not be left out.
pub(super) fn command(program: &Program, filters: &[&str], module: Module) -> Result<String> {
    let root = run::root();
    let root = root.display();
    // The tests know the paths that they, and the programs of their package, were built at.
    let built = run::programs("debug")?;
    let place = format!(
        "mkdir -p {root} && {{ mountpoint -q {root} || mount --bind {PLACE} {root}; }} && \
         {{ [ ! -d /etc/ssl/certs ] || [ ! -f {PLACE}/suite/trusted.crt ] || cp {PLACE}/suite/trusted.crt {TRUSTED}; }} && \
         mkdir -p {} && ln -sfn {} {} && ",
        built.parent().context("no folder")?.display(),
        programs(),
        built.display()
    );
    // The virtual environment names the Python that it was made with by its path on this machine.
    let python = std::fs::read_link(run::root().join("target/venv/bin/python3")).unwrap_or_default();
    let python = match python.parent() {
        Some(parent) if python.is_absolute() && !python.starts_with("/usr/bin") => {
            format!("mkdir -p {} && ln -sf /usr/bin/python3 {} && ", parent.display(), python.display())
        }
        _ => String::new(),
    };
    Ok(format!(
        "{place}{python}cd {root}/{} && RUST_BACKTRACE=0 BERTH_TEST_MUST={} BERTH_TEST_PATIENCE={SLOWER} BERTH_TEST_PROGRAMS={} \
         {root}/suite/{} {}",
        program.package,
        module.name(),
        programs(),
        program.name,
        filters.join(" ")
    ))
}

/// Builds the program of the end-to-end tests.
pub(crate) fn suite() -> Result<Program> {
    tests(Purpose::Tests)?.pop().context("no tests")
}

/// Builds the programs of tests, which cargo names in its messages.
fn tests(purpose: Purpose) -> Result<Vec<Program>> {
    let targets: &[&str] = match purpose {
        Purpose::Use => return Ok(Vec::new()),
        Purpose::Tests => &["--test", SUITE.1],
        Purpose::Everything => &["--lib", "--test", "*"],
    };
    // of the workspace, as `cargo xtask test` has built it already: alone, what it depends on has other features
    let args = ["test", "--quiet", "--workspace", "--no-run", "--message-format=json"];
    let messages = run::output(run::cargo(args).args(targets))?;
    let programs = messages.lines().filter_map(program).filter(|program| match purpose {
        Purpose::Everything => {
            parts::PACKAGES.iter().any(|name| program.package == format!("crates/{name}"))
                || program.is_suite()
        }
        _ => program.is_suite(),
    });
    let programs: Vec<_> = programs.collect();
    ensure!(programs.iter().any(Program::is_suite), "cargo names no end-to-end tests");
    Ok(programs)
}

impl Program {
    /// What it says of its tests; [`names`] reads it.
    pub(crate) fn listing(&self) -> Result<String> {
        run::output(Command::new(&self.path).args(["--list", "--format", "terse"]))
    }

    pub(super) fn is_suite(&self) -> bool {
        (self.package.as_str(), self.name.as_str()) == SUITE
    }
}

/// The names of tests in what their program lists.
pub(crate) fn names(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The program of tests that one of cargo's messages is about.
fn program(message: &str) -> Option<Program> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.strip_prefix(run::root()).ok()?;
    let package = package.to_str()?.to_owned();
    let target = message["target"]["name"].as_str()?;
    let name = match package.strip_prefix("crates/") {
        Some(krate) => format!("{krate}-{target}"),
        None => target.to_owned(),
    };
    Some(Program { package, name, path: message["executable"].as_str()?.into() })
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

/// Copies a program without what only a debugger reads: the guest reads it from an emulated disk.
fn copy(program: &Path, to: &Path) -> Result<()> {
    run::run(Command::new("strip").arg("-o").arg(to).arg(program))
}
