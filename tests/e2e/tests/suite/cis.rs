//! The CIS Docker Benchmark asked of a daemon and a container without options: `docs/cis.md` marks what is asked here.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::http;
use serde_json::Value;

/// The fourteen that containers have (capabilities(7)), as the kernel writes them.
const CAPABILITIES: &str = "00000000a80425fb";

#[test]
fn cis_daemon() -> Result<()> {
    let berth = Berth::start()?;
    let info = http::get(berth.root(), "/info")?;
    ensure!(info["LiveRestoreEnabled"] == true, "2.15");
    ensure!(info["ExperimentalBuild"] == false, "2.18");
    ensure!(info["Debug"] == false, "2.3");
    ensure!(info["Driver"] != "aufs", "2.6");
    ensure!(info["Swarm"]["LocalNodeState"] == "inactive", "5.1");
    let registries = info["RegistryConfig"]["InsecureRegistryCIDRs"].as_array().context("2.5")?;
    ensure!(registries.iter().all(|cidr| cidr == "127.0.0.0/8" || cidr == "::1/128"), "2.5: {registries:?}");
    let options = info["SecurityOptions"].as_array().context("SecurityOptions")?;
    ensure!(
        options.iter().any(|option| option.as_str().is_some_and(|text| text.starts_with("name=seccomp"))),
        "2.17"
    );
    ensure!(!options.iter().any(|option| option == "name=no-new-privileges"), "2.14 is a deviation no more");
    let bridge = http::get(berth.root(), "/networks/bridge")?;
    ensure!(
        bridge["Options"]["com.docker.network.bridge.enable_icc"] == "true",
        "2.2 is a deviation no more"
    );
    for (path, mode) in [("sock", 0o660), ("data", 0o700), ("exec", 0o700)] {
        let found = std::fs::metadata(berth.root().join(path))?;
        ensure!((found.uid(), found.mode() & 0o777) == (0, mode), "3.15, 3.16: {path} {:o}", found.mode());
    }
    // 2.7: whatever of the daemon's listens is a unix socket
    let listening = sockets_of(berth.pid()?)?;
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{}/net/{table}", berth.pid()?))?;
        let own = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // proc(5): state 0A listens, the tenth field is the inode
        let own: Vec<_> =
            own.filter(|row| row[3] == "0A" && listening.contains(&row[9].to_owned())).collect();
        ensure!(own.is_empty(), "2.7: {own:?}");
    }
    berth.finish()
}

/// Inodes of a process's sockets.
fn sockets_of(pid: u32) -> Result<Vec<String>> {
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        if let Some(inode) = target.strip_prefix("socket:[") {
            inodes.push(inode.trim_end_matches(']').to_owned());
        }
    }
    Ok(inodes)
}

#[test]
fn cis_container() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "plain", IMAGE, "sleep", "600"])?.ok()?;
    let container = http::get(berth.root(), "/containers/plain/json")?;
    let host = &container["HostConfig"];
    let nothing = |value: &Value| {
        value.is_null()
            || value == 0
            || value == ""
            || value == false
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    for (check, name) in [
        ("5.4", "CapAdd"),
        ("5.5", "Privileged"),
        ("5.6, 5.32", "Binds"),
        ("5.8, 5.9, 5.14", "PortBindings"),
        ("5.11 is a deviation no more", "Memory"),
        ("5.12 is a deviation no more", "NanoCpus"),
        ("5.13 is a deviation no more", "ReadonlyRootfs"),
        ("5.16", "PidMode"),
        ("5.18", "Devices"),
        ("5.21", "UTSMode"),
        ("5.29 is a deviation no more", "PidsLimit"),
        ("5.31", "UsernsMode"),
    ] {
        ensure!(nothing(&host[name]), "{check}: {name} is {}", host[name]);
    }
    ensure!(nothing(&container["Mounts"]), "5.6: {}", container["Mounts"]);
    ensure!(
        host["NetworkMode"] == "default" || host["NetworkMode"] == "bridge",
        "5.10: {}",
        host["NetworkMode"]
    );
    ensure!(host["IpcMode"] == "private", "5.17: {}", host["IpcMode"]);
    ensure!(host["RestartPolicy"]["Name"] == "no", "5.15: {}", host["RestartPolicy"]);
    let status = berth.berth(["exec", "plain", "cat", "/proc/self/status"])?.ok()?;
    for (check, line) in [
        ("5.4", format!("CapEff:\t{CAPABILITIES}")),
        ("5.4", format!("CapBnd:\t{CAPABILITIES}")),
        ("5.22", "Seccomp:\t2".to_owned()),
        ("5.26 is a deviation no more", "NoNewPrivs:\t0".to_owned()),
    ] {
        ensure!(status.lines().any(|found| found == line), "{check}: {line}\n{status}");
    }
    let pid = container["State"]["Pid"].as_u64().context("Pid")?;
    for name in ["net", "pid", "ipc", "uts", "mnt"] {
        let of = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/{name}"));
        ensure!(of(pid.to_string())? != of("self".to_owned())?, "5.10, 5.16, 5.17, 5.21: {name}");
    }
    // proc_pid_mountinfo(5): a shared mount has the tag `shared:N`
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    ensure!(!mounts.contains(" shared:"), "5.20: {mounts}");
    ensure!(!mounts.contains("berth.sock") && !mounts.contains("docker.sock"), "5.32");
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    ensure!(cgroup.contains("/berth"), "2.10, 5.25: {cgroup}");
    berth.finish()
}
