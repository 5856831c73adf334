//! Networks that several machines share: three engines, each in a network namespace of its own, on one switch, with
//! one etcd. By packets.

mod load;
mod machines;
mod store;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use e2e::lab::{Answer, Fleet, Inside, Machine, tcp};
use e2e::programs;

/// The network that the tests share.
const NET: &str = "wide";

/// A fleet with the network [`NET`], known to everybody.
fn fleet(machines: usize, more: &[&str]) -> Result<Fleet> {
    let fleet = Fleet::start(machines)?;
    let create = ["network", "create", "-d", "overlay", "--subnet", "10.88.0.0/24"];
    fleet.at(0)?.ok(&[&create[..], more, &[NET]].concat())?;
    for machine in &fleet.machines {
        programs::eventually("a network made on one machine is known on the others", || {
            Ok((machine.berth.docker(["network", "inspect", NET])?.code == 0).then_some(()))
        })?;
    }
    Ok(fleet)
}

/// Waits until `from`, a container on that machine, knows the name.
fn knows(machine: &Machine, from: &str, name: &str) -> Result<()> {
    programs::eventually("a name is known", || Ok((!machine.addresses(from, name)?.is_empty()).then_some(())))
}

/// One container reaches another by TCP, and is seen by its own address.
fn reaches(from: &Inside, to: &Inside) -> Result<()> {
    let _server = to.tcp(80)?;
    let heard = tcp(&from.netns, SocketAddr::new(to.ip()?, 80))?;
    ensure!(
        heard == Answer::Heard(format!("{} {}", to.name, from.ip()?)),
        "{} to {}: {heard}",
        from.name,
        to.name
    );
    Ok(())
}
