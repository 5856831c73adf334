//! What is seen of containers: `top` as procps prints it, and what inspect and info tell of the disk.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::http;
use e2e::peers::Docker;
use serde_json::Value;

const ARGUMENTS: &[&str] = &[
    "",
    "-ef",
    "aux",
    "-aux",
    "ax",
    "-A",
    "-l",
    "-ely",
    "-F",
    "-j",
    "j",
    "l",
    "-Z",
    "-eLf",
    "--forest",
    "-U root",
    "-C sleep",
    "-p 1",
    "-o pid,comm",
    "-opid,tid,lstart,etime,time,stat,ni,pri,rss,vsz,tty,pcpu,pmem",
    "-o pid,uid,gid,group,ruser,wchan,psr,sz,f,addr,bsdtime,cgroup",
    "axo pid,cmd=WHAT",
    "-o pid --sort=-pid",
    "-o comm",
    "-o pid=PROC",
    "-o bogus,pid",
    "--bogus",
    "-ef --no-headers",
];

/// Debian's Docker runs the host's `ps`; ours reads `/proc` itself, and must say the same.
#[test]
fn top_speaks_procps() -> Result<()> {
    let berth = Berth::start()?;
    let docker = Docker::start(Docker::NO_NETWORK)?;
    let archive = tempfile::NamedTempFile::new()?;
    e2e::image::Image::busybox()?.save(archive.path(), IMAGE)?;
    docker.run(&["load", "-i", archive.path().to_str().context("path")?])?.ok()?;
    let run = ["run", "-d", "--name", "seen", "--network", "none", IMAGE, "sleep", "1000"];
    berth.berth(run)?.ok()?;
    docker.run(&run)?.ok()?;
    for arguments in ARGUMENTS {
        let query = arguments.replace(' ', "%20").replace(',', "%2C").replace('=', "%3D");
        let path = format!("/v1.41/containers/seen/top?ps_args={query}");
        let ours = http::ask(berth.root(), "GET", &path)?;
        let theirs = http::ask(docker.root(), "GET", &path)?;
        let (ours, theirs) = ((ours.status, ours.text()?), (theirs.status, theirs.text()?));
        if theirs.1.contains("Unexpected pid") {
            // An AppArmor label has a space in it ("docker-default (enforce)"), on which Docker stumbles.
            ensure!(ours.0 == 200 && ours.1.contains("(enforce)"), "{arguments}: {ours:?}");
            continue;
        }
        ensure!((ours.0 == 200) == (theirs.0 == 200), "{arguments}: {ours:?} instead of {theirs:?}");
        let read = |(_, text): (_, String)| serde_json::from_str::<Value>(&text);
        let (ours, theirs) = (read(ours)?, read(theirs)?);
        let first =
            |value: &Value| value["message"].as_str().and_then(|text| text.lines().next()).map(str::to_owned);
        ensure!(ours["Titles"] == theirs["Titles"], "{arguments}: {ours} instead of {theirs}");
        ensure!(first(&ours) == first(&theirs), "{arguments}: {ours} instead of {theirs}");
        let rows = |value: &Value| value["Processes"].as_array().map_or(0, Vec::len);
        ensure!(rows(&ours) == rows(&theirs), "{arguments}: {ours} instead of {theirs}");
    }
    docker.run(&["rm", "-f", "seen"])?.ok()?;
    docker.stop()?;
    berth.finish()
}

#[test]
fn the_disk_is_told() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["create", "--name", "told", IMAGE, "true"])?.ok()?;
    let container = http::get(berth.root(), "/v1.55/containers/told/json")?;
    let upper = container["GraphDriver"]["Data"]["UpperDir"].as_str().context("no upper directory")?;
    ensure!(std::path::Path::new(upper).is_dir(), "{container}");
    let image = http::get(berth.root(), &format!("/v1.51/images/{IMAGE}/json"))?;
    let upper = image["GraphDriver"]["Data"]["UpperDir"].as_str().context("no layer")?;
    ensure!(std::path::Path::new(upper).is_dir(), "{image}");
    let info = http::get(berth.root(), "/v1.55/info")?;
    ensure!(
        info["DriverStatus"][0][0] == "Backing Filesystem" && info["FirewallBackend"]["Driver"] == "nftables",
        "{info}"
    );
    ensure!(
        info["Runtimes"]["berth"]["path"].as_str().is_some_and(|path| path.contains("berth-shim")),
        "{info}"
    );
    berth.berth(["rm", "told"])?.ok()?;
    berth.finish()
}
