//! Resource limits and the other options of `run`, as seen from inside.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

/// Runs a shell script with options and gives what it prints.
fn inside(berth: &Berth, options: &[&str], script: &str) -> Result<String> {
    let args = [&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat();
    berth.berth(args)?.ok()
}

/// The value of a controller's file, wherever this machine's version of cgroups has it.
fn limit(berth: &Berth, options: &[&str], v1: &str, v2: &str) -> Result<String> {
    inside(berth, options, &format!("cd /sys/fs/cgroup; if [ -e {v1} ]; then cat {v1}; else cat {v2}; fi"))
}

#[test]
fn resources() -> Result<()> {
    let berth = Berth::start()?;
    ensure!(limit(&berth, &["-m", "64m"], "memory/memory.limit_in_bytes", "memory.max")? == "67108864");
    ensure!(limit(&berth, &["--pids-limit", "33"], "pids/pids.max", "pids.max")? == "33");
    let quota = limit(&berth, &["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "cpu.max")?;
    ensure!(quota.starts_with("50000"), "{quota}");
    let shares = limit(&berth, &["--cpu-shares", "512"], "cpu/cpu.shares", "cpu.weight")?;
    // v2: as runc 1.4 and crun 1.23 turn shares into weights, which keeps 1024 at the default of 100
    ensure!(shares == "512" || shares == "59", "{shares}");
    ensure!(limit(&berth, &["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "cpuset.cpus")? == "0");
    let script = "awk '/Max open files/{print $4,$5}' /proc/self/limits";
    ensure!(inside(&berth, &["--ulimit", "nofile=100:200"], script)? == "100 200");
    ensure!(
        inside(&berth, &["--shm-size", "8m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2")?
            == "8192"
    );
    ensure!(inside(&berth, &["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj")? == "500");
    berth
        .berth(["run", "--rm", "-m", "1m", IMAGE, "true"])?
        .fails(125, "Minimum memory limit allowed is 6MB")?;
    berth.finish()
}

#[test]
fn an_out_of_memory_kill_is_reported() -> Result<()> {
    let berth = Berth::start()?;
    let script = "dd if=/dev/zero of=/dev/shm/fill bs=1M count=64; tail /dev/zero";
    let ran = berth.berth([
        "run",
        "--name",
        "oom",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "--shm-size",
        "128m",
        IMAGE,
        "sh",
        "-c",
        script,
    ])?;
    ensure!(ran.code == 137, "{ran:?}");
    ensure!(berth.berth(["inspect", "-f", "{{.State.OOMKilled}}", "oom"])?.ok()? == "true");
    berth.finish()
}

#[test]
fn identity_and_environment() -> Result<()> {
    let berth = Berth::start()?;
    let run = |options: &[&str], script: &str| inside(&berth, options, script);
    ensure!(
        run(
            &["--hostname", "abc", "--domainname", "d.example"],
            "hostname; cat /proc/sys/kernel/domainname"
        )? == "abc\nd.example"
    );
    ensure!(run(&["-u", "app"], "id")? == "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)");
    ensure!(run(&["-u", "1234:5678", "--group-add", "9"], "id -u; id -g; id -G")? == "1234\n5678\n5678 9");
    ensure!(run(&["-w", "/new/dir"], "pwd")? == "/new/dir");
    ensure!(run(&["-e", "A=1", "-e", "B"], "echo $A-$B-$HOME-$HOSTNAME")?.starts_with("1--/root-"));
    let file = berth.root().join("env");
    std::fs::write(&file, "# comment\nFROM_FILE=yes\n")?;
    ensure!(run(&["--env-file", &file.to_string_lossy()], "echo $FROM_FILE")? == "yes");
    ensure!(berth.berth(["run", "--rm", "--entrypoint", "echo", IMAGE, "a", "b"])?.ok()? == "a b");
    let cid = berth.root().join("cid");
    run(&["--cidfile", &cid.to_string_lossy()], "true")?;
    ensure!(std::fs::read_to_string(&cid)?.len() == 64);
    ensure!(
        run(&["--sysctl", "net.ipv4.ip_default_ttl=77"], "cat /proc/sys/net/ipv4/ip_default_ttl")? == "77"
    );
    ensure!(run(&["--pid", "host"], "echo $$")?.parse::<u32>()? > 2);
    ensure!(
        run(&["--uts", "host"], "hostname")? == std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim()
    );
    ensure!(run(&["--ipc", "none"], "test -e /dev/shm || echo none")? == "none");
    ensure!(run(&["--init"], "cat /proc/1/comm")?.contains("init"));
    berth.finish()
}

#[test]
fn rights_and_file_systems() -> Result<()> {
    let berth = Berth::start()?;
    let run = |options: &[&str], script: &str| inside(&berth, options, script);
    let caps = "awk '/^Cap/{print $2}' /proc/self/status | tr '\\n' '|'";
    ensure!(
        run(&[], caps)?
            == "0000000000000000|00000000a80425fb|00000000a80425fb|00000000a80425fb|0000000000000000|"
    );
    ensure!(
        run(&["--cap-drop", "ALL", "--cap-add", "CHOWN"], "grep CapEff /proc/self/status")?
            .ends_with("0000000000000001")
    );
    ensure!(
        run(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status")?.ends_with('1')
    );
    ensure!(run(&[], "grep Seccomp: /proc/self/status")?.ends_with('2'));
    ensure!(
        run(&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status")?.ends_with('0')
    );
    ensure!(
        run(
            &["--read-only", "--tmpfs", "/scratch:size=1m"],
            "touch /x 2>/dev/null || touch /scratch/x && echo ro"
        )? == "ro"
    );
    ensure!(run(&["--device", "/dev/fuse"], "test -c /dev/fuse && echo there")? == "there");
    ensure!(run(&[], "test -e /dev/fuse || echo absent")? == "absent");
    ensure!(
        run(&["--privileged"], "grep CapEff /proc/self/status; test -c /dev/fuse && echo all")?
            .ends_with("all")
    );
    let share = berth.root().join("share");
    std::fs::create_dir(&share)?;
    std::fs::write(share.join("f"), "shared")?;
    e2e::user::give(&share)?;
    let bind = format!("{}:/mnt", share.display());
    ensure!(run(&["-v", &bind], "cat /mnt/f; echo new > /mnt/g")? == "shared");
    ensure!(std::fs::read_to_string(share.join("g"))? == "new\n");
    ensure!(run(&["-v", &format!("{bind}:ro")], "touch /mnt/h 2>/dev/null || echo refused")? == "refused");
    for (option, value, words) in [
        ("--cap-add", "NOT_A_CAP", "capabilit"),
        ("--network", "no-such-network", "not found"),
        ("--runtime", "no-such-runtime", "runtime"),
        ("--security-opt", "apparmor=no-such-profile", "apparmor"),
    ] {
        let ran = berth.berth(["run", "--rm", option, value, IMAGE, "true"])?;
        ensure!(ran.stderr.to_lowercase().contains(words), "{option} {value}: {ran:?}");
        ran.fails(125, "")?;
    }
    berth.finish()
}
