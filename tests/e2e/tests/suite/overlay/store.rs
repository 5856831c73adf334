//! The store goes away and comes back.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::lab::{Flow, TTL};
use e2e::programs;

use super::{NET, fleet, knows, reaches};

#[test]
fn traffic_and_names_go_on_without_the_store_and_changes_flow_when_it_is_back() -> Result<()> {
    let mut fleet = fleet(2, &[])?;
    let one = fleet.at(0)?.container("one", NET, &[])?;
    let two = fleet.at(1)?.container("two", NET, &["--network-alias", "svc"])?;
    knows(fleet.at(0)?, "one", "two")?;
    let server = two.udp(7)?;
    let flow = Flow::start(&one.netns, SocketAddr::new(two.ip()?, 7))?;
    fleet.etcd.kill()?;
    let a = fleet.at(0)?;
    // Longer than any lease: a store that is away is no machine that is dead.
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() <= 2 * TTL {
        ensure!(a.pings("one", "two")? && a.pings("one", "svc.wide")?, "names and packets without the store");
    }
    reaches(&one, &two)?;
    let refused =
        a.berth.docker(["run", "-d", "--name", "new", "--network", NET, IMAGE, "sleep", "100000"])?;
    ensure!(refused.code != 0 && refused.stderr.contains("etcd"), "{}", refused.stderr);
    a.ok(&["rm", "-f", "new"])?;
    // One that ends while the store is away is gone when it is back.
    fleet.at(1)?.container("local", "bridge", &[])?;
    fleet.etcd.resume()?;
    let a = fleet.at(0)?;
    programs::eventually("the store is used again", || {
        let ran =
            a.berth.docker(["run", "-d", "--name", "new", "--network", NET, IMAGE, "sleep", "100000"])?;
        if ran.code != 0 {
            a.ok(&["rm", "-f", "new"])?;
        }
        Ok((ran.code == 0).then_some(()))
    })?;
    knows(fleet.at(1)?, "two", "new")?;
    reaches(&two, &a.inside("new")?)?;
    let (sent, lost) = flow.end()?;
    ensure!(sent > 100 && lost == 0, "{lost} of {sent} packets were lost");
    drop(server);
    fleet.finish()
}

#[test]
fn a_daemon_that_starts_without_the_store_keeps_what_runs() -> Result<()> {
    let mut fleet = fleet(2, &[])?;
    let one = fleet.at(0)?.container("one", NET, &[])?;
    let two = fleet.at(1)?.container("two", NET, &[])?;
    knows(fleet.at(0)?, "one", "two")?;
    let server = two.udp(7)?;
    let flow = Flow::start(&one.netns, SocketAddr::new(two.ip()?, 7))?;
    fleet.etcd.kill()?;
    fleet.berth(0)?.kill()?;
    fleet.berth(0)?.spawn()?;
    reaches(&one, &two)?;
    ensure!(fleet.at(0)?.ok(&["ps", "--format", "{{.Names}}"])? == "one");
    fleet.etcd.resume()?;
    knows(fleet.at(0)?, "one", "two")?;
    reaches(&one, &two)?;
    let (sent, lost) = flow.end()?;
    ensure!(sent > 100 && lost == 0, "{lost} of {sent} packets were lost");
    drop(server);
    fleet.finish()
}
