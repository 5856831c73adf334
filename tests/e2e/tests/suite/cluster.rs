//! Networks that two hosts share over etcd, as a client sees them: what is listed where, who may be removed, and what is
//! said when the store is away. Whether packets arrive is asked elsewhere.

use anyhow::{Context, Result, ensure};
use e2e::daemon::IMAGE;
use e2e::etcd::Etcd;
use e2e::image::Image;
use e2e::lab::Namespace;
use e2e::programs::eventually;
use e2e::{Berth, http};
use serde_json::Value;

/// Two hosts joined by a cable, and a store on the first.
struct Pair {
    etcd: Etcd,
    hosts: [Namespace; 2],
    berths: Vec<Berth>,
}

/// Seconds after which a silent host counts as dead.
const TTL: &str = "discovery.ttl=3";

impl Pair {
    fn start() -> Result<Self> {
        let hosts = [Namespace::new()?, Namespace::new()?];
        hosts[0].cable("up0", &hosts[1], "up0")?;
        for (at, host) in hosts.iter().enumerate() {
            host.ip(&format!("addr add 192.168.66.{}/24 dev up0", at + 1))?;
        }
        let etcd = Etcd::inside(&hosts[0], "192.168.66.1".parse()?)?;
        let mut pair = Self { etcd, hosts, berths: Vec::new() };
        for host in &pair.hosts {
            let store = format!("--cluster-store={}", pair.etcd.url());
            let berth =
                Berth::inside(host, &[&store, "--cluster-advertise=up0:2376", "--cluster-store-opt", TTL])?;
            berth.load(&Image::busybox()?, IMAGE)?;
            pair.berths.push(berth);
        }
        Ok(pair)
    }

    fn berth(&self, host: usize, words: &[&str]) -> Result<String> {
        self.berths[host].berth(words)?.ok()
    }

    fn inspect(&self, host: usize, network: &str) -> Result<Value> {
        Ok(serde_json::from_str::<Value>(&self.berth(host, &["network", "inspect", network])?)?[0].take())
    }

    /// The names of containers that a host lists on a network.
    fn members(&self, host: usize, network: &str) -> Result<Vec<String>> {
        let shown = self.inspect(host, network)?;
        let members = shown["Containers"].as_object().context("no containers")?;
        let mut names: Vec<_> =
            members.values().filter_map(|end| end["Name"].as_str().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Removes the network on one host, as soon as nobody is on it, and waits for the other.
    fn forget(&self, host: usize) -> Result<()> {
        eventually("it can be removed", || {
            Ok((self.berths[host].berth(["network", "rm", "shared"])?.code == 0).then_some(()))
        })?;
        eventually("the other host forgets it", || {
            Ok((self.berths[1 - host].berth(["network", "inspect", "shared"])?.code != 0).then_some(()))
        })
    }

    /// Runs a container on the network, which gets this address.
    fn run_at(&self, host: usize, ip: &str, name: &str) -> Result<bool> {
        let address = format!("--ip={ip}");
        let words = ["run", "-d", "--stop-timeout=0", "--network=shared", &address, "--name", name, IMAGE];
        let ran = self.berths[host].berth([&words[..], &["sleep", "100000"]].concat())?;
        if ran.code != 0 {
            self.berths[host].berth(["rm", "-f", name])?;
        }
        Ok(ran.code == 0)
    }

    fn finish(self) -> Result<()> {
        self.berths.into_iter().try_for_each(Berth::finish)
    }
}

fn run(name: &str) -> [&str; 9] {
    ["run", "-d", "--stop-timeout=0", "--network", "shared", "--name", name, IMAGE, "sleep"]
}

fn sleeper(name: &str) -> Vec<&str> {
    run(name).into_iter().chain(["100000"]).collect()
}

#[test]
fn a_network_is_shared_from_its_making_to_its_end() -> Result<()> {
    let pair = Pair::start()?;
    let id = pair.berth(0, &["network", "create", "-d", "overlay", "--label", "a=b", "shared"])?;
    let listed = [
        "network",
        "ls",
        "--no-trunc",
        "--filter",
        "name=shared",
        "--format",
        "{{.ID}} {{.Driver}} {{.Scope}}",
    ];
    eventually("the other host lists it", || {
        Ok((pair.berth(1, &listed)? == format!("{id} overlay global")).then_some(()))
    })?;
    let (here, there) = (pair.inspect(0, "shared")?, pair.inspect(1, "shared")?);
    ensure!(here["IPAM"] == there["IPAM"] && here["Labels"] == there["Labels"], "{here} {there}");
    ensure!(here["Created"] == there["Created"], "{here} {there}");
    pair.berths[1].berth(["network", "create", "-d", "overlay", "shared"])?.fails(1, "already exists")?;

    pair.berth(0, &sleeper("one"))?;
    pair.berth(1, &sleeper("two"))?;
    for host in [0, 1] {
        eventually("both containers are listed", || {
            Ok((pair.members(host, "shared")? == ["one", "two"]).then_some(()))
        })?;
    }
    let shown = pair.inspect(0, "shared")?;
    let members = shown["Containers"].as_object().context("no containers")?;
    let (key, two) = members.iter().find(|(_, end)| end["Name"] == "two").context("no two")?;
    ensure!(*key == format!("ep-{}", two["EndpointID"].as_str().unwrap_or_default()), "{shown}");
    let address = "{{(index .NetworkSettings.Networks \"shared\").IPAddress}}/24";
    ensure!(two["IPv4Address"] == pair.berth(1, &["inspect", "-f", address, "two"])?.as_str(), "{shown}");

    pair.berth(1, &["rename", "two", "zwei"])?;
    eventually(
        "its new name is known",
        || Ok((pair.members(0, "shared")? == ["one", "zwei"]).then_some(())),
    )?;
    pair.berth(0, &["rm", "-f", "one"])?;
    eventually("it is gone there", || Ok((pair.members(1, "shared")? == ["zwei"]).then_some(())))?;
    pair.berths[0].berth(["network", "rm", "shared"])?.fails(1, "has active endpoints")?;
    pair.berth(1, &["network", "disconnect", "shared", "zwei"])?;
    eventually("nobody is on it", || Ok(pair.members(0, "shared")?.is_empty().then_some(())))?;
    pair.berth(1, &["network", "connect", "shared", "zwei"])?;
    eventually("it is back", || Ok((pair.members(0, "shared")? == ["zwei"]).then_some(())))?;
    pair.berth(1, &["rm", "-f", "zwei"])?;
    eventually("it can be removed", || {
        Ok((pair.berths[0].berth(["network", "rm", "shared"])?.code == 0).then_some(()))
    })?;
    eventually("the other host forgets it", || Ok(pair.berth(1, &listed)?.is_empty().then_some(())))?;
    ensure!(pair.etcd.count("berth/v1/networks/")? == 0 && pair.etcd.count("berth/v1/claims/")? == 0);
    pair.finish()
}

#[test]
fn without_the_store_containers_go_on_and_new_ones_are_refused() -> Result<()> {
    let mut pair = Pair::start()?;
    pair.berth(0, &["network", "create", "-d", "overlay", "--subnet", "10.44.0.0/24", "shared"])?;
    pair.berth(0, &sleeper("one"))?;
    eventually("the other host knows", || {
        let known = pair.berths[1].berth(["network", "inspect", "shared"])?.code == 0;
        Ok((known && pair.members(1, "shared")? == ["one"]).then_some(()))
    })?;
    pair.etcd.kill()?;
    pair.berths[0].berth(sleeper("late"))?.fails(125, "cluster store")?;
    ensure!(pair.members(1, "shared")? == ["one"]);
    // a daemon that starts now knows its networks and its containers
    pair.berths[0].kill()?;
    pair.berths[0].spawn()?;
    ensure!(pair.members(0, "shared")? == ["one"]);
    pair.berth(0, &["rm", "-f", "one"])?;
    pair.etcd.resume()?;
    eventually("the end is told when the store is back", || {
        Ok(pair.members(1, "shared")?.is_empty().then_some(()))
    })?;
    eventually("new ones start again", || {
        Ok((pair.berths[0].berth(["start", "late"])?.code == 0).then_some(()))
    })?;
    eventually("and are told", || Ok((pair.members(1, "shared")? == ["late"]).then_some(())))?;
    pair.berth(0, &["rm", "-f", "late"])?;
    pair.forget(1)?;
    pair.finish()
}

#[test]
fn a_host_that_comes_back_too_late_has_no_address_twice() -> Result<()> {
    let mut pair = Pair::start()?;
    pair.berth(0, &["network", "create", "-d", "overlay", "--subnet", "10.45.0.0/24", "shared"])?;
    ensure!(pair.run_at(0, "10.45.0.7", "old")? && pair.run_at(0, "10.45.0.8", "kept")?);
    eventually("the other host knows", || {
        let known = pair.berths[1].berth(["network", "inspect", "shared"])?.code == 0;
        Ok((known && pair.members(1, "shared")? == ["kept", "old"]).then_some(()))
    })?;
    pair.berths[0].kill()?;
    eventually("the lease runs out", || Ok(pair.members(1, "shared")?.is_empty().then_some(())))?;
    eventually("its address can be had", || Ok(pair.run_at(1, "10.45.0.7", "new")?.then_some(())))?;
    pair.berths[0].spawn()?;
    eventually("what can be kept is told again, what is given away is not", || {
        Ok((pair.members(1, "shared")? == ["kept", "new"]).then_some(()))
    })?;
    let running = "{{.State.Running}} {{len .NetworkSettings.Networks}}";
    eventually("the old one runs on without the network", || {
        Ok((pair.berth(0, &["inspect", "-f", running, "old"])? == "true 0").then_some(()))
    })?;
    ensure!(pair.berths[0].log().contains("was given to another one"), "{}", pair.berths[0].log());
    pair.berth(0, &["network", "connect", "shared", "old"])?;
    eventually("with another address it is back", || {
        Ok((pair.members(1, "shared")? == ["kept", "new", "old"]).then_some(()))
    })?;
    pair.berth(0, &["rm", "-f", "old", "kept"])?;
    pair.berth(1, &["rm", "-f", "new"])?;
    pair.forget(1)?;
    pair.finish()
}

#[test]
fn the_store_is_shown_to_clients_that_know_of_it() -> Result<()> {
    let pair = Pair::start()?;
    let shown = http::get(pair.berths[1].root(), "/v1.41/info")?;
    ensure!(shown["ClusterStore"] == pair.etcd.url().as_str(), "{shown}");
    ensure!(shown["ClusterAdvertise"] == "192.168.66.2:2376", "{shown}");
    let newer = http::get(pair.berths[1].root(), "/v1.42/info")?;
    ensure!(newer.get("ClusterStore").is_none() && newer.get("ClusterAdvertise").is_none(), "{newer}");
    pair.finish()
}

#[test]
fn without_a_store_it_is_said_what_to_set() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let refused = berth.berth(["network", "create", "-d", "overlay", "x"])?;
    refused.fails(1, "--cluster-store=etcd://HOST:PORT")?;
    berth.finish()
}
