//! Holes of the network; the first two are tried on Debian's Docker, too, which falls for the first.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::lab::dns::{self, Client, NameServer};
use e2e::lab::{Kind, Lab, Site, at, tcp, tcp_from};
use e2e::programs::eventually;

use super::control;

crate::packets::on_both! {
    a_port_of_the_loopback_after_a_flush_and_a_restore [];
    no_question_leaves_an_internal_network [];
}

/// moby#45610: what is published on the host's loopback, when somebody (firewalld, `nft -f`) has flushed all rules and
/// put back those that it knew.
fn a_port_of_the_loopback_after_a_flush_and_a_restore(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "127.0.0.1:8080:80"])?;
    let _server = web.tcp(80)?;
    let saved = site.host.nft("list ruleset")?;
    site.host.nft("flush ruleset")?;
    let file = tempfile::NamedTempFile::new()?;
    // what Docker's iptables-nft has made can't be put back by nft alone; only tables of nft's own can
    let ours = lab.engine.kind() == Kind::Berth;
    if ours {
        eventually("the rules are back", || {
            Ok(site.host.nft("list tables")?.contains("berth").then_some(()))
        })?;
        // nft 1.0.6 lists an interval of names in a way that it can't read: without those it is what somebody restores
        let restored: Vec<&str> = saved.lines().filter(|line| !line.contains("{ \"\"")).collect();
        std::fs::write(&file, format!("flush ruleset\n{}\n", restored.join("\n")))?;
        site.host.nft(&format!("-f {}", file.path().display()))?;
        eventually("the rules are back", || {
            Ok(site.host.nft("list tables")?.contains("berth").then_some(()))
        })?;
    }
    crate::packets::ports::evil(site)?;
    let (from, to) = (at(Site::NEIGHBOUR, 0)?, at("127.0.0.1", 8080)?);
    let open = format!("web {}", Site::NEIGHBOUR);
    let direct = SocketAddr::from((web.ip()?, 80));
    lab.sees("its address", "refused", || tcp(&site.neighbour, at(Site::HOST, 8080)?))?;
    if ours {
        lab.sees("a neighbour, at 127.0.0.1", "silence", || tcp_from(&site.neighbour, from, to))?;
        lab.sees("a neighbour, at the container's address", "silence", || tcp(&site.neighbour, direct))?;
        lab.sees("the host", "web 172.17.0.1", || tcp(&site.host, direct))?;
        return Ok(());
    }
    let fell = tcp(&site.neighbour, direct)?.to_string() == open;
    control("Docker 20.10", fell, "after a flush, a port of the loopback by the container's address");
    ensure!(fell, "the control has failed: the attack is none");
    Ok(())
}

/// CVE-2024-29018: the embedded resolver passes a question on through the host, for a container that has no way out.
fn no_question_leaves_an_internal_network(lab: &Lab) -> Result<()> {
    let far = NameServer::start(&lab.site.outside, Site::OUTSIDE, Duration::ZERO, |query, _, _| {
        Some(dns::address(query, [192, 0, 2, 1]))
    })?;
    lab.engine.ok(&["network", "create", "--internal", "inner"])?;
    let box_ = lab.container("box", &["--network", "inner", "--dns", Site::OUTSIDE])?;
    let mut client = Client::new(&box_.netns, "127.0.0.11")?;
    let secret = "secret-of-the-container.example.org";
    let _ = client.ask(&dns::question(7, secret, 1))?;
    // the host asks, so that it is known that what was asked before has come
    let mut host = Client::new(&lab.site.host, Site::OUTSIDE)?;
    host.ask(&dns::question(8, "end.example.org", 1))?.context("the server does not answer")?;
    let leaked = far.asked().iter().any(|name| name.contains("secret-of-the-container"));
    if lab.engine.kind() == Kind::Berth {
        ensure!(!leaked, "{:?}", far.asked());
    } else {
        control("Docker 20.10", leaked, "a question for another name leaves an internal network");
    }
    Ok(())
}

/// CVE-2025-9074: no Engine API where a container can connect to: nothing of ours listens but at the published port, and
/// that is the container's own.
#[test]
fn no_engine_listens_where_a_container_reaches() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    lab.engine.ok(&["network", "create", "net"])?;
    let box_ = lab.container("box", &["--network", "net", "-p", "8080:80"])?;
    let _server = box_.tcp(80)?;
    let listening = lab.site.host.run(std::process::Command::new("ss").args(["-Hltn"]))?.ok()?;
    let ports: Vec<u16> = listening
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3)?.rsplit_once(':')?.1.parse().ok())
        .collect();
    ensure!(ports.iter().all(|port| *port == 8080), "{listening}");
    // the usual ones, at every address that leads to the host, and the daemon's socket as the container sees it
    let gateway: IpAddr =
        lab.engine.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "net"])?.parse()?;
    for port in [2375, 2376, 2377, 4243, 7946] {
        for ip in [gateway, Site::HOST.parse()?] {
            lab.sees("an engine", "refused", || tcp(&box_.netns, (ip, port).into()))?;
        }
    }
    let sockets = lab.engine.ok(&["exec", "box", "find", "/", "-xdev", "-type", "s"])?;
    ensure!(sockets.is_empty(), "{sockets}");
    let _ = lab.engine.berth()?;
    drop(_server);
    lab.finish()
}
