//! `berth-oci` in the place of runc: under Debian's Docker, containerd and Podman.

use anyhow::{Result, ensure};
use e2e::image::Image;
use e2e::peers::{Containerd, Docker, Podman};
use e2e::programs;

const TAG: &str = "docker.io/library/peer:1";

fn archive(image: &Image) -> Result<tempfile::NamedTempFile> {
    let archive = tempfile::NamedTempFile::new()?;
    image.save(archive.path(), TAG)?;
    Ok(archive)
}

#[test]
fn under_docker() -> Result<()> {
    let runtime = format!("berth={}", programs::program("berth-oci")?.display());
    let options = [Docker::NO_NETWORK, &["--add-runtime", &runtime, "--default-runtime", "berth"]].concat();
    let docker = Docker::start(&options)?;
    let ok = |args: &[&str]| docker.run(args)?.ok();
    let archive = archive(&Image::busybox()?)?;
    ok(&["load", "-i", &archive.path().to_string_lossy()])?;
    ensure!(ok(&["run", "--rm", TAG, "sh", "-c", "echo $$ $(id -u)"])? == "1 0");
    ensure!(docker.run(&["run", "--rm", TAG, "sh", "-c", "exit 42"])?.code == 42);
    ensure!(docker.run(&["run", "--rm", TAG, "/no/such/program"])?.code == 127);
    ok(&["run", "-d", "--name", "box", "-m", "64m", TAG, "sleep", "1000"])?;
    // wherever this machine's version of cgroups has it
    let limit = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max";
    ensure!(ok(&["exec", "box", "sh", "-c", limit])? == "67108864");
    ensure!(docker.run(&["exec", "box", "sh", "-c", "exit 5"])?.code == 5);
    ok(&["pause", "box"])?;
    ensure!(ok(&["inspect", "-f", "{{.State.Status}}", "box"])? == "paused");
    ok(&["unpause", "box"])?;
    ok(&["update", "-m", "32m", "--memory-swap", "32m", "box"])?;
    ensure!(ok(&["exec", "box", "sh", "-c", limit])? == "33554432");
    ensure!(ok(&["top", "box"])?.contains("sleep 1000"));
    ok(&["kill", "-s", "TERM", "box"])?;
    ok(&["kill", "box"])?;
    ensure!(ok(&["wait", "box"])? == "137");
    ok(&["rm", "box"])?;
    let ran = docker.run(&[
        "run",
        "--name",
        "oom",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        TAG,
        "tail",
        "/dev/zero",
    ])?;
    ensure!(ran.code == 137, "{ran:?}");
    ensure!(ok(&["inspect", "-f", "{{.State.OOMKilled}}", "oom"])? == "true");
    ok(&["rm", "oom"])?;
    docker.stop()
}

#[test]
fn under_containerd() -> Result<()> {
    let runtime = programs::program("berth-oci")?.display().to_string();
    let containerd = Containerd::start()?;
    let ok = |args: &[&str]| containerd.run(args)?.ok();
    let archive = archive(&Image::busybox()?)?;
    ok(&["images", "import", &archive.path().to_string_lossy()])?;
    let run = ["run", "--runc-binary", &runtime];
    let with = |rest: &[&str]| containerd.run(&[&run, rest].concat());
    ensure!(with(&["--rm", TAG, "once", "echo", "hello"])?.ok()? == "hello");
    ensure!(with(&["--rm", TAG, "seven", "sh", "-c", "exit 7"])?.code == 7);
    with(&["-d", "--memory-limit", "67108864", TAG, "box", "sleep", "1000"])?.ok()?;
    ensure!(ok(&["tasks", "exec", "--exec-id", "entry", "box", "echo", "inside"])? == "inside");
    ok(&["tasks", "pause", "box"])?;
    ensure!(ok(&["tasks", "ls"])?.contains("PAUSED"));
    ok(&["tasks", "resume", "box"])?;
    ensure!(ok(&["tasks", "ps", "box"])?.lines().count() == 2);
    ok(&["tasks", "kill", "-s", "SIGKILL", "box"])?;
    programs::eventually("the task has stopped", || {
        Ok(ok(&["tasks", "ls"])?.contains("STOPPED").then_some(()))
    })?;
    ok(&["tasks", "delete", "box"])
        .or_else(|error| if error.to_string().contains("137") { Ok(String::new()) } else { Err(error) })?;
    ok(&["containers", "delete", "box"])?;
    containerd.stop()
}

#[test]
fn under_podman() -> Result<()> {
    let runtime = programs::program("berth-oci")?;
    let podman = Podman::prepare()?;
    let run = |args: &[&str]| podman.run(&runtime, args);
    let ok = |args: &[&str]| run(args)?.ok();
    let archive = archive(&Image::busybox()?)?;
    let policy = podman.root().join("policy.json").display().to_string();
    ok(&["load", "--signature-policy", &policy, "-i", &archive.path().to_string_lossy()])?;
    ensure!(ok(&["run", "--rm", "--network", "none", TAG, "echo", "hello"])? == "hello");
    ensure!(run(&["run", "--rm", "--network", "none", TAG, "sh", "-c", "exit 7"])?.code == 7);
    ok(&["run", "-d", "--name", "box", "--network", "none", "-m", "64m", TAG, "sleep", "1000"])?;
    ensure!(ok(&["exec", "box", "echo", "inside"])? == "inside");
    ok(&["pause", "box"])?;
    ensure!(ok(&["inspect", "-f", "{{.State.Status}}", "box"])? == "paused");
    ok(&["unpause", "box"])?;
    ok(&["kill", "box"])?;
    ensure!(ok(&["wait", "box"])? == "137");
    ok(&["rm", "box"])?;
    let ran = run(&[
        "run",
        "--name",
        "oom",
        "--network",
        "none",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        TAG,
        "tail",
        "/dev/zero",
    ])?;
    // Podman 4.3's conmon notes no OOM of any runtime on the hybrid hierarchy: only the exit tells.
    ensure!(ran.code == 137, "{ran:?}");
    ok(&["rm", "oom"])?;
    Ok(())
}
