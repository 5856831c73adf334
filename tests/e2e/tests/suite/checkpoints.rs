//! `checkpoint` where criu is absent, or fails: said clearly, and the container runs on. (The criu of Debian 12 fails on
//! current kernels, so that the way to a checkpoint that works can't be walked by a test yet.)

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

/// A daemon whose PATH is this folder alone, and a container in it.
fn with_path(path: &Path) -> Result<Berth> {
    let path = path.display().to_string();
    let berth = Berth::with_environment(&[("PATH", &path)], &["--experimental"])?;
    berth
        .docker([
            "run",
            "-d",
            "--name",
            "c1",
            "--network",
            "none",
            "--restart",
            "always",
            IMAGE,
            "sleep",
            "1000",
        ])?
        .ok()?;
    Ok(berth)
}

/// Runs as it did, and nothing of the checkpoint is left.
fn untouched(berth: &Berth) -> Result<()> {
    let id = berth.docker(["inspect", "-f", "{{.Id}}", "c1"])?.ok()?;
    ensure!(berth.docker(["exec", "c1", "echo", "here"])?.ok()? == "here");
    ensure!(
        berth.docker(["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "c1"])?.ok()? == "running 0"
    );
    let folder = berth.data_root().join("containers").join(id).join("checkpoints");
    let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
    ensure!(left == 0, "{left} directories are left");
    ensure!(berth.docker(["checkpoint", "ls", "c1"])?.ok()?.trim_end() == "CHECKPOINT NAME");
    Ok(())
}

#[test]
fn without_criu_it_is_said() -> Result<()> {
    let empty = tempfile::tempdir()?;
    let berth = with_path(empty.path())?;
    let words = "criu, which is not installed";
    berth.docker(["checkpoint", "create", "c1", "one"])?.fails(1, words)?;
    berth.berth(["checkpoint", "create", "--leave-running", "c1", "one"])?.fails(1, words)?;
    untouched(&berth)?;
    berth.berth(["checkpoint", "create", "c1", "../one"])?.fails(1, "Invalid checkpoint ID (../one)")?;
    berth.berth(["checkpoint", "create", "nobody", "one"])?.fails(1, "No such container: nobody")?;
    berth
        .berth(["checkpoint", "create", "--checkpoint-dir", "near", "c1", "one"])?
        .fails(1, "not an absolute path")?;
    let missing = "checkpoint one does not exist for container c1";
    berth.docker(["checkpoint", "rm", "c1", "one"])?.fails(1, missing)?;
    berth.docker(["start", "--checkpoint", "one", "c1"])?.fails(1, missing)?;
    berth.berth(["start", "--checkpoint", "one", "c1"])?.fails(1, missing)?;
    berth.docker(["run", "-dt", "--name", "tty", IMAGE, "sleep", "1000"])?.ok()?;
    berth.docker(["checkpoint", "create", "tty", "one"])?.fails(1, "not supported on containers with tty")?;
    berth.docker(["kill", "tty"])?.ok()?;
    berth.docker(["checkpoint", "create", "tty", "one"])?.fails(1, "is not running")?;
    berth.finish()
}

/// What criu says when it fails, with the words that it is called with in a file of their own.
const FAILS: &str = r#"#!/bin/sh
folder=${0%/*}
echo "$*" >"$folder/words"
while [ "$1" != --work-dir ]; do shift; done
echo "(00.01) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds" >"$2/criu.log"
echo "(00.02) Error (criu/cr-dump.c:2111): Dumping FAILED." >>"$2/criu.log"
exit 1
"#;

#[test]
fn what_criu_says_is_passed_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("criu");
    std::fs::write(&program, FAILS)?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    let berth = with_path(folder.path())?;
    let said = "Cannot checkpoint container c1: criu dump: Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds";
    berth.docker(["checkpoint", "create", "c1", "one"])?.fails(1, said)?;
    untouched(&berth)?;
    let words = std::fs::read_to_string(folder.path().join("words"))?;
    ensure!(
        !words.contains("--leave-running") && words.contains("--external mnt[/etc/hosts]:/etc/hosts"),
        "{words}"
    );
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    let create = ["checkpoint", "create", "--leave-running", "--checkpoint-dir", &elsewhere, "c1", "one"];
    berth.berth(create)?.fails(1, said)?;
    untouched(&berth)?;
    let words = std::fs::read_to_string(folder.path().join("words"))?;
    ensure!(words.contains("--leave-running") && words.contains(&format!("{elsewhere}/.new-one")), "{words}");
    ensure!(std::fs::read_dir(&elsewhere)?.count() == 0);
    berth.docker(["kill", "c1"])?.ok()?;
    berth.finish()
}
