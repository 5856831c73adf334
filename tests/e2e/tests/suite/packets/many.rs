//! Ten thousand ports in a row cost what one does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::lab::{Kind, Lab, Site, at, tcp, udp};
use e2e::programs::{eventually, patient};

/// What it must not take, whatever else the machine does; the figures themselves are the bench's.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it may take more than with one port, while others use the machine. One by one, in a build like this, reading ten
/// thousand ports alone takes longer.
const LONGER: Duration = Duration::from_millis(1500);
/// More memory of the daemon, KiB. Entry by entry, the ports would take more than twenty thousand.
const MORE: u64 = 1 << 10;

#[test]
fn ten_thousand_ports_are_published_and_go_again() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    // The first container has made the bridge, and brought the daemon's code into memory.
    let start = Instant::now();
    lab.container("first", &["-p", "8080:80"])?;
    let usual = start.elapsed();
    let (before, there) = (resident(lab.engine.pid()?)?, processes(&lab)?);
    let start = Instant::now();
    let web =
        lab.container("web", &["-p", "20000-29999:20000-29999", "-p", "20000-20999:20000-20999/udp"])?;
    let took = start.elapsed();
    ensure!(took < usual + patient(LONGER), "{took:?}, and {usual:?} with one port");
    let pid = lab.engine.pid()?;
    // What the answers took goes back when nobody asks for anything.
    eventually("the memory is given back", || Ok((resident(pid)? < before + MORE).then_some(())))?;
    ensure!(processes(&lab)? == there + 1, "a process more than the container's shim");
    let listed = lab.engine.ok(&["ps", "--format", "{{.Ports}}", "--filter", "name=web"])?;
    ensure!(listed.contains("0.0.0.0:20000-29999->20000-29999/tcp"), "{listed}");
    ensure!(lab.engine.ok(&["port", "web", "27777"])?.contains("0.0.0.0:27777"));
    let asked = lab.engine.ok(&[
        "inspect",
        "-f",
        "{{len .HostConfig.PortBindings}} {{len .Config.ExposedPorts}} {{len .NetworkSettings.Ports}}",
        "web",
    ])?;
    ensure!(asked == "11000 11000 11000", "{asked}");
    for port in [20_000, 23_456, 29_999] {
        let server = web.tcp(port)?;
        let seen = format!("web {}", Site::OUTSIDE);
        lab.sees(&format!("tcp {port}"), &seen, || tcp(&lab.site.outside, at(Site::HOST, port)?))?;
        drop(server);
    }
    let server = web.udp(20_999)?;
    lab.sees("udp", &format!("web {}", Site::OUTSIDE), || udp(&lab.site.outside, at(Site::HOST, 20_999)?))?;
    let taken = lab.engine.run(&["run", "-d", "-p", "25000:80", e2e::daemon::IMAGE, "true"])?;
    taken.fails(125, "Bind for 0.0.0.0:25000 failed: port is already allocated")?;
    // Another daemon finds everything again.
    lab.engine.berth()?.kill()?;
    lab.engine.berth()?.spawn()?;
    lab.sees("udp still", &format!("web {}", Site::OUTSIDE), || {
        udp(&lab.site.outside, at(Site::HOST, 20_999)?)
    })?;
    let taken = lab.engine.run(&["run", "-d", "-p", "25001:80", e2e::daemon::IMAGE, "true"])?;
    taken.fails(125, "Bind for 0.0.0.0:25001 failed: port is already allocated")?;
    drop((server, web));
    let start = Instant::now();
    lab.engine.ok(&["rm", "-f", "web"])?;
    ensure!(start.elapsed() < patient(PATIENCE), "{:?}", start.elapsed());
    lab.sees("after the end", "refused", || udp(&lab.site.outside, at(Site::HOST, 20_999)?))?;
    lab.finish()
}

/// Memory of a process that is its own, KiB: not what it reads of its program the first time.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// How many processes there are in the host's network namespace.
fn processes(lab: &Lab) -> Result<usize> {
    let wanted = format!("net:[{}]", lab.site.host.inode()?);
    let there = |entry: std::io::Result<std::fs::DirEntry>| {
        let link = std::fs::read_link(entry.ok()?.path().join("ns/net")).ok()?;
        (link.as_os_str() == wanted.as_str()).then_some(())
    };
    Ok(std::fs::read_dir("/proc")?.filter_map(there).count())
}
