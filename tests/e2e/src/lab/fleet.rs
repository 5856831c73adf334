//! Several machines with an engine each, a switch between them, and a store that all of them reach.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};

use super::{Inside, Namespace};
use crate::daemon::{Berth, IMAGE};
use crate::etcd::Etcd;
use crate::image::Image;
use crate::programs;

/// Seconds after which the store counts a silent machine as dead.
pub const TTL: u64 = 3;
/// The switch's own address, at which the store listens; and the beginning of all addresses.
const STORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);

/// The machines.
pub struct Fleet {
    /// The switch, bridge `sw0`, and the machine of the store.
    pub switch: Namespace,
    /// The store.
    pub etcd: Etcd,
    /// The machines.
    pub machines: Vec<Machine>,
}

/// One machine.
pub struct Machine {
    /// Where its engine lives; its only link is `eth0`.
    pub netns: Namespace,
    /// The engine, with the test image.
    pub berth: Berth,
    /// Its address on the switch.
    pub ip: IpAddr,
    /// Links and rules before there was an engine.
    before: (String, String),
}

impl Fleet {
    /// A switch, a store, and so many machines.
    pub fn start(machines: usize) -> Result<Self> {
        let switch = Namespace::new()?;
        switch.ip("link add sw0 type bridge")?;
        switch.ip("link set sw0 up")?;
        switch.ip(&format!("addr add {STORE}/24 dev sw0"))?;
        let etcd = Etcd::inside(&switch, STORE.into())?;
        let mut fleet = Self { switch, etcd, machines: Vec::new() };
        for number in 0..machines {
            let machine = fleet.machine(number)?;
            fleet.machines.push(machine);
        }
        Ok(fleet)
    }

    fn machine(&self, number: usize) -> Result<Machine> {
        let netns = Namespace::new()?;
        let ip = plug(&self.switch, &netns, number)?;
        let before = state(&netns)?;
        let store = self.etcd.url();
        let advertise = format!("{ip}:2376");
        let ttl = format!("discovery.ttl={TTL}");
        let options = ["--cluster-store", &store, "--cluster-advertise", &advertise];
        let berth = Berth::inside(&netns, &[&options[..], &["--cluster-store-opt", &ttl]].concat())?;
        berth.load(&Image::busybox()?, IMAGE)?;
        Ok(Machine { netns, berth, ip, before })
    }

    /// A machine by its number from 0.
    pub fn at(&self, number: usize) -> Result<&Machine> {
        self.machines.get(number).context("no such machine")
    }

    /// Its engine, which may be killed.
    pub fn berth(&mut self, number: usize) -> Result<&mut Berth> {
        Ok(&mut self.machines.get_mut(number).context("no such machine")?.berth)
    }

    /// Drops a machine as a power cut does: every process of it, its cable, its links. Its disk stays.
    pub fn power_off(&mut self, number: usize) -> Result<()> {
        let machine = self.machines.get_mut(number).context("no such machine")?;
        let containers = machine.berth.berth(["ps", "-q"])?.ok()?;
        let told = ["inspect", "-f", "{{.State.Pid}}"].into_iter().chain(containers.lines());
        let processes =
            if containers.is_empty() { String::new() } else { machine.berth.berth(told)?.ok()? };
        machine.netns.ip("link del eth0")?;
        machine.berth.kill()?;
        crate::leaks::kill_all_below(machine.berth.root());
        for process in processes.lines().map(str::parse) {
            let process = rustix::process::Pid::from_raw(process?).context("no process")?;
            // It may have ended with its shim.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        machine.netns = Namespace::new()?;
        machine.berth.move_to(&machine.netns);
        Ok(())
    }

    /// Switches a machine on again that was dropped.
    pub fn power_on(&mut self, number: usize) -> Result<()> {
        let machine = self.machines.get_mut(number).context("no such machine")?;
        plug(&self.switch, &machine.netns, number)?;
        machine.before = state(&machine.netns)?;
        machine.berth.spawn()
    }

    /// Ends all engines: nothing of them is left on any machine, nor in the store.
    pub fn finish(self) -> Result<()> {
        let Self { switch: _switch, etcd, machines } = self;
        if let Some(first) = machines.first() {
            for machine in &machines {
                let containers = machine.berth.berth(["ps", "-aq", "--no-trunc"])?.ok()?;
                if !containers.is_empty() {
                    machine.berth.berth(["rm", "-f", "-v"].into_iter().chain(containers.lines()))?.ok()?;
                }
            }
            // Places on other machines are given back in the background.
            programs::eventually("shared networks are removed", || {
                first.berth.berth(["network", "prune", "-f"])?.ok()?;
                Ok((first.berth.berth(["network", "ls", "-q"])?.ok()?.lines().count() == 3).then_some(()))
            })
            .with_context(|| format!("left in the store: {:?}", held(&etcd)))?;
        }
        for machine in machines {
            let Machine { netns, berth, before, .. } = machine;
            programs::eventually("a machine forgets what was removed on another", || {
                let networks = berth.berth(["network", "ls", "-q"])?.ok()?;
                Ok((networks.lines().count() == 3).then_some(()))
            })?;
            berth.finish()?;
            programs::eventually("links and rules are as before", || {
                Ok((state(&netns)? == before).then_some(()))
            })
            .with_context(|| format!("{:?} instead of {before:?}", state(&netns)))?;
        }
        // A machine's own record goes with its lease.
        programs::eventually("the store holds nothing", || {
            Ok(held(&etcd)?.iter().all(|(_, count)| *count == 0).then_some(()))
        })
        .with_context(|| format!("left in the store: {:?}", held(&etcd)))
    }
}

/// Joins a machine to the switch; its address there.
fn plug(switch: &Namespace, netns: &Namespace, number: usize) -> Result<IpAddr> {
    // A namespace starts with some of the machine's switches: an engine has turned this one on there.
    netns.within(|| Ok(std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")?))?;
    let port = format!("port{number}");
    switch.cable(&port, netns, "eth0")?;
    switch.ip(&format!("link set {port} master sw0"))?;
    let ip = Ipv4Addr::new(192, 0, 2, 1 + u8::try_from(number)?);
    netns.ip(&format!("addr add {ip}/24 dev eth0"))?;
    netns.ip(&format!("route add default via {STORE}"))?;
    Ok(ip.into())
}

/// What the store holds, by kind.
pub fn held(etcd: &Etcd) -> Result<Vec<(&'static str, u64)>> {
    let kinds = ["networks", "names", "numbers", "claims", "endpoints", "hosts"];
    kinds.iter().map(|kind| Ok((*kind, etcd.count(&format!("berth/v1/{kind}/"))?))).collect()
}

/// Links, their forwarding and neighbour entries that last, and rules.
fn state(netns: &Namespace) -> Result<(String, String)> {
    let links = netns.ip("-br link")?;
    // The test may hold the namespace of a container, and with it its pair: those are told apart by their bridge.
    let names = links.lines().filter_map(|line| line.split_whitespace().next());
    let mut links: Vec<_> = names.filter(|name| !name.starts_with("veth")).collect();
    links.sort_unstable();
    let entries = netns.ip("neigh show nud permanent")?;
    Ok((format!("{links:?} {entries}"), netns.nft("list ruleset")?))
}

impl Machine {
    /// The client must succeed; what it says.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        self.berth.docker(args)?.ok()
    }

    /// A running container on `network`, in which nothing listens.
    pub fn container(&self, name: &str, network: &str, more: &[&str]) -> Result<Inside> {
        let run = ["run", "-d", "--name", name, "--network", network, "--stop-timeout", "0"];
        self.ok(&[&run[..], more, &[IMAGE, "sleep", "100000"]].concat())?;
        self.inside(name)
    }

    /// A container that runs.
    pub fn inside(&self, name: &str) -> Result<Inside> {
        const TOLD: &str = "{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}";
        let told = self.ok(&["inspect", "-f", TOLD, name])?;
        let Some((pid, ip)) = told.split_once(' ') else { bail!("{told:?}") };
        let netns = Namespace::of(pid.parse()?)?;
        Ok(Inside { name: name.to_owned(), netns, ip: ip.split(' ').find_map(|ip| ip.parse().ok()) })
    }

    /// The IPv4 addresses that a name has for a container, sorted.
    pub fn addresses(&self, of: &str, name: &str) -> Result<Vec<String>> {
        let ran = self.berth.docker(["exec", of, "nslookup", "-type=a", name])?;
        let after = ran.stdout.split_once("Name:").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let mut found: Vec<_> =
            after.lines().filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned).collect();
        found.sort();
        Ok(found)
    }

    /// A container reaches another by its name: an echo comes back.
    pub fn pings(&self, from: &str, to: &str) -> Result<bool> {
        Ok(self.berth.docker(["exec", from, "ping", "-c", "1", "-W", "1", to])?.code == 0)
    }
}
