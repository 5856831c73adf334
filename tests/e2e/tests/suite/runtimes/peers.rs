//! `berth-oci` in the place of runc: under Debian's Docker, containerd and Podman.

use anyhow::{Result, ensure};
use e2e::image::Image;
use e2e::peers::{Containerd, Docker, Podman};
use e2e::programs;
use e2e::pty::Terminal;

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
    ensure!(docker.run(&["run", "--rm", TAG, "/etc/passwd"])?.code == 126);
    attached(&docker)?;
    ok(&["run", "-d", "--name", "box", "-m", "64m", TAG, "sleep", "1000"])?;
    // wherever this machine's version of cgroups has it
    let limit = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max";
    ensure!(ok(&["exec", "box", "sh", "-c", limit])? == "67108864");
    ensure!(docker.run(&["exec", "box", "sh", "-c", "exit 5"])?.code == 5);
    ensure!(
        ok(&[
            "exec",
            "-e",
            "WORD=some",
            "-u",
            "app",
            "-w",
            "/tmp",
            "box",
            "sh",
            "-c",
            "echo $WORD $(id -u) $(pwd)"
        ])? == "some 1000 /tmp"
    );
    let stats = ok(&["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box"])?;
    ensure!(stats.starts_with("1 ") && stats.ends_with("/ 64MiB"), "{stats}");
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
    stops_restarts_and_logs(&ok)?;
    docker.stop()
}

/// A container's streams and its terminal, and a terminal of an exec.
fn attached(docker: &Docker) -> Result<()> {
    let mut command = docker.command(&["run", "--rm", "-i", TAG, "sh", "-c", "cat; echo err >&2"]);
    let ran = programs::run_with(&mut command, b"typed\n", programs::PATIENCE)?;
    ensure!(ran.code == 0 && ran.stdout == "typed\n" && ran.stderr == "err\n", "{ran:?}");
    let mut pty = Terminal::sized(
        &mut docker.command(&["run", "--rm", "-it", TAG, "sh", "-c", "tty; read word; echo got $word"]),
        (33, 77),
    )?;
    pty.expect("/dev/pts")?;
    pty.send("it\n")?;
    pty.expect("got it")?;
    ensure!(pty.wait()?.0 == 0);
    docker.run(&["run", "-d", "--name", "typed", TAG, "sleep", "1000"])?.ok()?;
    let mut pty = Terminal::spawn(&mut docker.command(&[
        "exec",
        "-it",
        "typed",
        "sh",
        "-c",
        "tty; read w; echo got $w",
    ]))?;
    pty.expect("/dev/pts")?;
    pty.send("it\n")?;
    pty.expect("got it")?;
    ensure!(pty.wait()?.0 == 0);
    docker.run(&["rm", "-f", "typed"])?.ok().map(drop)
}

/// What Docker's client and Podman's do alike.
fn stops_restarts_and_logs(ok: &dyn Fn(&[&str]) -> Result<String>) -> Result<()> {
    let run = ["run", "-d", "--network", "none"];
    let script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done";
    ok(&[&run[..], &["--name", "traps", TAG, "sh", "-c", script]].concat())?;
    programs::eventually("it is up", || Ok(ok(&["logs", "traps"])?.contains("up").then_some(())))?;
    ok(&["stop", "traps"])?;
    ensure!(ok(&["inspect", "-f", "{{.State.ExitCode}}", "traps"])? == "7");
    ensure!(ok(&["logs", "traps"])? == "up\nbye");
    ok(&["start", "traps"])?;
    ensure!(ok(&["inspect", "-f", "{{.State.Running}}", "traps"])? == "true");
    ok(&["rm", "-f", "traps"])?;
    ok(&[
        &run[..],
        &["--name", "failing", "--restart", "on-failure:2", TAG, "sh", "-c", "echo run; exit 9"],
    ]
    .concat())?;
    programs::eventually("it has been tried three times", || {
        Ok((ok(&["logs", "failing"])?.lines().count() == 3).then_some(()))
    })?;
    ok(&["rm", "-f", "failing"]).map(drop)
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
    ensure!(
        ok(&[
            "tasks",
            "exec",
            "--exec-id",
            "user",
            "--user",
            "1000",
            "--cwd",
            "/tmp",
            "box",
            "sh",
            "-c",
            "id -u; pwd"
        ])? == "1000\n/tmp"
    );
    ensure!(ok(&["tasks", "metrics", "box"])?.contains("memory"));
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
    ensure!(ok(&["top", "box"])?.contains("sleep 1000"));
    ok(&["kill", "box"])?;
    ensure!(ok(&["wait", "box"])? == "137");
    ok(&["rm", "box"])?;
    ok(&["run", "-d", "--name", "still", "--network", "none", TAG, "sleep", "1000"])?;
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
    let said = ok(&[
        "exec",
        "-e",
        "WORD=some",
        "-u",
        "app",
        "-w",
        "/tmp",
        "still",
        "sh",
        "-c",
        "echo $WORD $(id -u) $(pwd)",
    ])?;
    ensure!(said == "some 1000 /tmp", "{said}");
    ok(&["rm", "-f", "-t", "0", "still"])?;
    // Podman 4.3's conmon notes no OOM of any runtime on the hybrid hierarchy: only the exit tells.
    ensure!(ran.code == 137, "{ran:?}");
    ok(&["rm", "oom"])?;
    stops_restarts_and_logs(&ok)
}
