//! `cargo xtask vm pair`: two hosts on a wire. What Berth does between hosts, between two kernels: a registry, networks
//! that both share (in the clear, encrypted, of the wire itself), published ports, a daemon by ssh, and a host that goes
//! and comes back, in order and without.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::guest::Guest;
use super::root::{self, Kind, Root};
use super::wire::{Joined, WIRE};
use super::{run, service, work};

/// Containers that answer each connection with a program of 2 MB, so that many packets of full size go.
const SERVE: &str = "box nc -ll -p 80 -e cat /bin/busybox";
/// Reads what such a container says. Whoever asks may be there before it listens.
const FETCH: &str = "until busybox nc HOST PORT < /dev/null > /tmp/got && test -s /tmp/got; do sleep 0.2; done; md5sum < /tmp/got";
/// Counts packets between hosts that come in by the wire: of VXLAN, and of WireGuard.
const COUNT: &str = "\
nft -f - <<'END'
table inet seen {
  counter clear { }
  counter sealed { }
  chain in {
    type filter hook prerouting priority -450
    iifname \"WIRE\" udp dport 4789 counter name clear
    iifname \"WIRE\" udp dport 51820 counter name sealed
  }
}
END";

/// The two guests, and what they agree about.
struct Pair {
    first: Guest,
    second: Guest,
    /// Of the program that containers serve.
    sum: String,
}

pub(super) fn main() -> Result<()> {
    let root = root::prepare(Kind::Peers)?;
    let (disk, _) = work::prepare(Kind::Peers, work::Purpose::Use)?;
    run::step("two guests");
    let wire = tempfile::Builder::new().prefix("berth-vm-").tempdir()?;
    let pair = Pair::boot(&root, &disk, wire.path())?;
    pair.registry().context("a registry on the first host")?;
    pair.by_ssh(&root).context("a daemon by ssh")?;
    pair.networks().context("networks that both share")?;
    pair.lan().context("the wire's own network")?;
    pair.goes_and_comes_back().context("a host that comes back")?;
    pair.leaves_nothing().context("the end")?;
    let Pair { first, second, .. } = pair;
    second.power_off().context("the second guest does not end")?;
    first.power_off().context("the first guest does not end")
}

impl Pair {
    fn boot(root: &Root, disk: &Path, wire: &Path) -> Result<Self> {
        let [first, second] = Guest::boot_pair(root, disk, wire)?;
        let store = Joined::First.address();
        let unit = format!(
            "[Unit]\nAfter=network-online.target\n\n\
             [Service]\nExecStart=/usr/bin/etcd --data-dir /var/lib/store --listen-client-urls http://{store}:2379 \
             --advertise-client-urls http://{store}:2379\n\n[Install]\nWantedBy=multi-user.target\n"
        );
        service::add(&first, "store", &unit)?;
        for guest in [&first, &second] {
            guest.run(&COUNT.replace("WIRE", WIRE))?;
            let options = format!(
                "--cluster-store=etcd://{store}:2379 --cluster-advertise={WIRE}:2376 --insecure-registry {store}:5000"
            );
            service::install(guest, &options)?;
        }
        let sum = first.ask("md5sum < /bin/busybox")?;
        Ok(Self { first, second, sum })
    }

    /// What one host pushes, another pulls and runs.
    fn registry(&self) -> Result<()> {
        run::step("an image goes from host to host");
        let name = format!("{}:5000/moved", Joined::First.address());
        service::install_registry(&self.first, &Joined::First.address())?;
        self.first.run(&format!("berth tag box {name} && berth push -q {name}"))?;
        let said = self.second.ask(&format!("berth pull -q {name} && berth run --rm {name} echo runs"))?;
        ensure!(said.ends_with("runs"), "{said:?}");
        self.second.run(&format!("berth rmi {name} > /dev/null"))
    }

    /// The second host's daemon, asked by ssh from the first; and a port that it publishes.
    fn by_ssh(&self, root: &Root) -> Result<()> {
        run::step("a daemon by ssh, and its published port");
        let key = std::fs::read(&root.key)?;
        self.first.send("umask 077; mkdir -p /root/.ssh; cat > /root/.ssh/id_ed25519", &key)?;
        self.first.run("printf 'StrictHostKeyChecking accept-new\\n' > /root/.ssh/config")?;
        let second = Joined::Second.address();
        let there = format!("berth -H ssh://root@{second}");
        let said = self.first.ask(&format!(
            "{there} run -d --name published -p {second}:8080:80 {SERVE} > /dev/null && {there} ps --format '{{{{.Names}}}}'; berth ps -q"
        ))?;
        ensure!(said == "published", "{said:?}");
        let got = self.first.ask(&fetch(&second, 8080))?;
        ensure!(got == self.sum, "by the published port: {got:?}");
        self.first.run(&format!("{there} rm -f published > /dev/null"))
    }

    /// Networks of the driver `overlay`, one of them encrypted.
    fn networks(&self) -> Result<()> {
        run::step("networks that both hosts share");
        self.first.run(
            "berth network create -d overlay shared > /dev/null && \
             berth network create -d overlay -o encrypted secret > /dev/null",
        )?;
        for network in ["shared", "secret"] {
            let run = |name| {
                format!("berth run -d --name {name}-{network} --restart always --network {network} {SERVE}")
            };
            self.first.run(&format!("{} > /dev/null", run("one")))?;
            self.second.run(&format!("{} > /dev/null", run("two")))?;
            let before = [seen(&self.first)?, seen(&self.second)?];
            self.both_reach(network)?;
            let after = [seen(&self.first)?, seen(&self.second)?];
            for (before, after) in before.into_iter().zip(after) {
                let good = match network {
                    "secret" => after.sealed > before.sealed && after.clear == before.clear,
                    _ => after.clear > before.clear,
                };
                ensure!(good, "{network} by the wire: {before:?}, then {after:?}");
            }
        }
        Ok(())
    }

    /// Each host's container answers one of the other host by name.
    fn both_reach(&self, network: &str) -> Result<()> {
        for (guest, name) in [(&self.second, "one"), (&self.first, "two")] {
            let got = guest.ask(&format!(
                "timeout 300 berth run --rm --network {network} box sh -c '{}'",
                fetch(&format!("{name}-{network}"), 80)
            ))?;
            ensure!(got == self.sum, "{name}-{network} by the network {network}: {got:?}");
        }
        Ok(())
    }

    /// Containers that are hosts of the wire themselves.
    fn lan(&self) -> Result<()> {
        run::step("containers on the wire itself");
        for (guest, number) in [(&self.first, 1), (&self.second, 2)] {
            guest.run(&format!(
                "berth network create -d macvlan -o parent={WIRE} --subnet 10.10.0.0/24 --ip-range 10.10.0.{}/28 lan > /dev/null && \
                 berth run -d --name lan-{number} --network lan --ip 10.10.0.{} {SERVE} > /dev/null",
                number * 16,
                number * 16 + 5
            ))?;
        }
        for (guest, other) in [(&self.first, 37), (&self.second, 21)] {
            let fetch = fetch(&format!("10.10.0.{other}"), 80);
            let got = guest.ask(&format!("timeout 300 berth run --rm --network lan box sh -c '{fetch}'"))?;
            ensure!(got == self.sum, "10.10.0.{other} by the wire: {got:?}");
        }
        for (guest, number) in [(&self.first, 1), (&self.second, 2)] {
            guest
                .run(&format!("berth rm -f lan-{number} > /dev/null && berth network rm lan > /dev/null"))?;
        }
        Ok(())
    }

    /// The second host restarts in order, then at once; the shared networks hold.
    fn goes_and_comes_back(&self) -> Result<()> {
        for restart in [Guest::reboot, Guest::reset] {
            run::step("the second host goes, and comes back");
            restart(&self.second)?;
            self.second.run(&COUNT.replace("WIRE", WIRE))?;
            self.second
                .run("timeout 300 sh -c 'until [ \"$(berth ps -q | wc -l)\" = 2 ]; do sleep 0.2; done'")?;
            for network in ["shared", "secret"] {
                self.both_reach(network)?;
            }
        }
        Ok(())
    }

    /// When all is removed, neither host has anything of it.
    fn leaves_nothing(&self) -> Result<()> {
        run::step("nothing is left");
        for (guest, name) in [(&self.second, "two"), (&self.first, "one")] {
            guest.run(&format!("berth rm -f {name}-shared {name}-secret > /dev/null"))?;
        }
        self.first.run("berth network rm shared secret > /dev/null")?;
        for guest in [&self.second, &self.first] {
            let rest = format!("ls /sys/class/net | grep -v -E '^(lo|en.*|{WIRE}|berth0)$'");
            guest.run(&format!(
                "timeout 60 sh -c \"while {rest}; do sleep 0.2; done\" > /dev/null || {{ {rest}; false; }}"
            ))?;
            guest.run("systemctl stop berth")?;
        }
        Ok(())
    }
}

/// Packets that a host has had from the other.
#[derive(Debug, Clone, Copy)]
struct Seen {
    clear: u64,
    sealed: u64,
}

fn seen(guest: &Guest) -> Result<Seen> {
    let packets = |name: &str| -> Result<u64> {
        let text = guest.ask(&format!("nft list counter inet seen {name}"))?;
        let count = text.split_whitespace().skip_while(|word| *word != "packets").nth(1);
        count.and_then(|count| count.parse().ok()).with_context(|| format!("no counter: {text}"))
    };
    Ok(Seen { clear: packets("clear")?, sealed: packets("sealed")? })
}

fn fetch(host: &str, port: u16) -> String {
    FETCH.replace("HOST", host).replace("PORT", &port.to_string())
}
