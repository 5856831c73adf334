//! Small Debians, made by debootstrap once and kept beside the build.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// One maker at a time in this process; between processes the finished file appears by a rename.
static MAKING: Mutex<()> = Mutex::new(());

/// What neither a boot nor a program reads.
const UNNEEDED: [&str; 6] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/zoneinfo",
];

/// A tar of a minimal Debian whose `/sbin/init` is systemd, without a machine id.
pub fn with_systemd() -> Result<PathBuf> {
    made("bookworm-systemd", &["--include=systemd-sysv,dbus"], &|root| {
        for id in ["etc/machine-id", "var/lib/dbus/machine-id"] {
            let _ = std::fs::remove_file(root.join(id));
        }
        File::create(root.join("etc/machine-id")).map(drop)
    })
}

/// A tar of a minimal Debian, as debootstrap leaves it but for documentation and lists of packages.
pub fn minimal() -> Result<PathBuf> {
    made("bookworm-minimal", &[], &|_| Ok(()))
}

fn made(name: &str, options: &[&str], finish: &dyn Fn(&Path) -> std::io::Result<()>) -> Result<PathBuf> {
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debian");
    let tar = cache.join(format!("{name}.tar"));
    if tar.exists() {
        return Ok(tar);
    }
    std::fs::create_dir_all(&cache)?;
    let work = tempfile::tempdir_in(&cache)?;
    let root = work.path().join("root");
    run(Command::new("debootstrap")
        .arg("--variant=minbase")
        .args(options)
        .arg("bookworm")
        .arg(&root)
        .stdout(File::create(work.path().join("log"))?))
    .context("debootstrap (apt-get install debootstrap)")?;
    finish(&root)?;
    let made = work.path().join("tar");
    run(Command::new("tar")
        .args(UNNEEDED.map(|path| format!("--exclude=./{path}/*")))
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&made)
        .arg("."))?;
    std::fs::rename(made, &tar)?;
    Ok(tar)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
