//! Networks: what they cost to make, to join and to use.

mod commands;
mod names;
mod ports;
mod traffic;

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::lab::Namespace;
use e2e::peers::Docker;
use e2e::{Berth, programs};

use super::IMAGE;

pub(super) use commands::{create, many, start};
pub(super) use names::lookups;
pub(super) use ports::range;
pub(super) use traffic::{between, published, round_trips};

/// Makes a client's command line.
type Client<'a> = dyn Fn(&[&str]) -> Result<Command> + Sync + 'a;

/// An engine, by its client.
struct Side<'a> {
    client: Box<Client<'a>>,
}

/// Both engines.
fn sides<'a>(berth: &'a Berth, docker: &'a Docker) -> [Side<'a>; 2] {
    [
        Side { client: Box::new(|args| berth.berth_command(args)) },
        Side { client: Box::new(|args| Ok(docker.command(args))) },
    ]
}

impl Side<'_> {
    fn command(&self, args: &[&str]) -> Result<Command> {
        (self.client)(args)
    }

    fn ok(&self, args: &[&str]) -> Result<String> {
        programs::run_with(&mut self.command(args)?, b"", std::time::Duration::from_secs(300))?.ok()
    }

    /// A container that sleeps.
    fn container(&self, name: &str, more: &[&str]) -> Result<Inside> {
        self.ok(&[&["run", "-d", "--name", name], more, &[IMAGE, "sleep", "1000"]].concat())?;
        let told = "{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}";
        let told = self.ok(&["inspect", "-f", told, name])?;
        let (pid, ip) = told.trim().split_once(' ').with_context(|| told.clone())?;
        Ok(Inside { netns: Namespace::of(pid.parse()?)?, ip: ip.parse().with_context(|| told.clone())? })
    }

    fn remove(&self, names: &[&str]) -> Result<()> {
        self.ok(&[&["rm", "-f"], names].concat()).map(drop)
    }
}

/// The inside of a container.
struct Inside {
    netns: Namespace,
    ip: Ipv4Addr,
}
