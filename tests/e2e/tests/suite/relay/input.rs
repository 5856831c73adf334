//! The mode in which published ports are sockets of the host, and its INPUT chain judges who reaches them.

use anyhow::{Result, ensure};
use e2e::lab::{Kind, Lab, Site, at, tcp, udp};

use super::{free, head};

const DROPPING: &str = "add table inet admin; \
    add chain inet admin input { type filter hook input priority 0; }; \
    add rule inet admin input iifname eth0 tcp dport { 8080, 8083 } drop; \
    add rule inet admin input iifname eth0 udp dport 8081 drop";

fn web(lab: &Lab, more: &[&str]) -> Result<e2e::lab::Inside> {
    lab.container("web", &[more, &["-p", "8080:80", "-p", "8081:81/udp", "-p", "8082:80"][..]].concat())
}

/// What is reached without rules of the administrator's, and then with them.
fn judged(lab: &Lab, obeyed: bool) -> Result<()> {
    let site = &lab.site;
    for ip in [Site::HOST, Site::HOST6] {
        lab.sees(&format!("tcp to {ip}"), "web", || head(tcp(&site.neighbour, at(ip, 8080)?)?))?;
        lab.sees(&format!("udp to {ip}"), "web", || head(udp(&site.neighbour, at(ip, 8081)?)?))?;
    }
    site.host.nft(DROPPING)?;
    let expected = if obeyed { "silence" } else { "web" };
    lab.sees("tcp that INPUT drops", expected, || head(tcp(&site.neighbour, at(Site::HOST, 8080)?)?))?;
    lab.sees("udp that INPUT drops", expected, || head(udp(&site.neighbour, at(Site::HOST, 8081)?)?))?;
    lab.sees("IPv6 that INPUT drops", "silence", || head(tcp(&site.neighbour, at(Site::HOST6, 8080)?)?))?;
    lab.sees("a port that it says nothing of", "web", || head(tcp(&site.neighbour, at(Site::HOST, 8082)?)?))?;
    for ip in ["127.0.0.1", "::1", Site::HOST] {
        lab.sees(&format!("the host by {ip}"), "web", || head(tcp(&site.host, at(ip, 8080)?)?))?;
        lab.sees(&format!("the host by udp and {ip}"), "web", || head(udp(&site.host, at(ip, 8081)?)?))?;
    }
    site.host.nft("delete table inet admin").map(drop)
}

#[test]
fn input_counts_where_the_daemon_says_so() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &["--publish-mode=input"])?;
    let web = web(&lab, &[])?;
    let servers = (web.tcp(80)?, web.udp(81)?);
    judged(&lab, true)?;
    ensure!(!lab.site.host.nft("list ruleset")?.contains("8080"), "the kernel translates as well");
    // real sockets, and no daemon is needed for them
    let sockets = || lab.site.host.run(std::process::Command::new("ss").args(["-Hltn"]))?.ok();
    ensure!(sockets()?.contains("0.0.0.0:8080") && sockets()?.contains("[::]:8080"), "{}", sockets()?);
    lab.engine.berth()?.kill()?;
    lab.sees("without a daemon", "web", || head(tcp(&lab.site.outside, at(Site::HOST, 8080)?)?))?;
    ensure!(free(&lab.site.host, 8080)?[..2] == [false; 2]);
    lab.engine.berth()?.spawn()?;
    lab.sees("with the next", "web", || head(tcp(&lab.site.outside, at(Site::HOST, 8080)?)?))?;
    // another container reaches it by the host's address, and itself
    let client = lab.container("client", &[])?;
    lab.sees("from a container", "web", || head(tcp(&client.netns, at(Site::HOST, 8080)?)?))?;
    lab.sees("from itself", "web", || head(tcp(&web.netns, at(Site::HOST, 8080)?)?))?;
    let many = lab.engine.run(&["run", "-d", "-p", "20000-20999:1000-1999", e2e::daemon::IMAGE, "true"])?;
    many.fails(125, "at most")?;
    drop((servers, web, client));
    lab.finish()
}

#[test]
fn input_counts_on_a_network_that_says_so() -> Result<()> {
    let lab = Lab::start(Kind::Berth, &[])?;
    let wrong = lab.engine.run(&["network", "create", "-o", "org.berth.publish-mode=both", "wrong"])?;
    wrong.fails(1, "invalid publish mode")?;
    lab.engine.ok(&["network", "create", "-o", "org.berth.publish-mode=input", "guarded"])?;
    let web = web(&lab, &["--network", "guarded", "-p", "127.0.0.1:8084:80"])?;
    let servers = (web.tcp(80)?, web.udp(81)?);
    judged(&lab, true)?;
    lab.sees("loopback alone", "refused", || tcp(&lab.site.neighbour, at(Site::HOST, 8084)?))?;
    lab.sees("from the host", "web", || head(tcp(&lab.site.host, at("127.0.0.1", 8084)?)?))?;
    drop((servers, web));
    lab.engine.ok(&["rm", "-f", "web"])?;
    ensure!(free(&lab.site.host, 8080)? == [true; 4]);
    lab.engine.ok(&["network", "rm", "guarded"])?;
    lab.finish()
}

#[test]
fn input_does_not_count_where_nothing_is_said() -> Result<()> {
    let lab = Lab::start(Kind::Berth, &[])?;
    let web = web(&lab, &[])?;
    let servers = (web.tcp(80)?, web.udp(81)?);
    judged(&lab, false)?;
    drop((servers, web));
    lab.finish()
}

#[test]
fn without_rules_of_ours_ports_are_published_all_the_same() -> Result<()> {
    let lab = Lab::start(Kind::Berth, &["--iptables=false"])?;
    let web = web(&lab, &[])?;
    let servers = (web.tcp(80)?, web.udp(81)?);
    judged(&lab, true)?;
    drop((servers, web));
    lab.finish()
}
