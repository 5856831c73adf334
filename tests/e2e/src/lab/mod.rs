//! Hosts of a test's own: network namespaces in which engines run, so that bridges, rules and switches of the
//! machine stay as they are; a client outside and a neighbour, and probes that say what arrives where.
//!
//! Steps are written once, as a function of a [`Lab`], and taken by Berth and by Debian's Docker: what a probe
//! sees is compared with what the step expects of each.

mod conntrack;
pub mod dns;
mod engine;
mod fleet;
mod flow;
mod netns;
mod ping;
mod probe;
mod site;

use std::cell::RefCell;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub use conntrack::{Tracked, flows};
pub use engine::{Engine, Kind};
pub use fleet::{Fleet, Machine, TTL, held};
pub use flow::Flow;
pub use netns::Namespace;
pub use ping::ping;
pub use probe::{Answer, Server, tcp, tcp_from, udp, udp_from};
pub use site::{Site, at};

/// How long what is expected to arrive may take; what must not arrive is waited for much shorter (see [`probe`]).
const PATIENCE: Duration = Duration::from_secs(15);

/// A site with an engine on its host, and what was seen there that should not have been.
pub struct Lab {
    /// The hosts.
    pub site: Site,
    /// The engine.
    pub engine: Engine,
    wrong: RefCell<Vec<String>>,
}

/// A container, from which one may send and in which one may listen.
#[derive(Debug)]
pub struct Inside {
    /// Its name, which its servers answer with.
    pub name: String,
    /// Its namespace.
    pub netns: Namespace,
    /// Its IPv4 address, if it has one.
    pub ip: Option<IpAddr>,
}

impl Lab {
    /// A new site, and the engine with its options on its host.
    pub fn start(kind: Kind, options: &[&str]) -> Result<Self> {
        Self::on(Site::new()?, kind, options)
    }

    /// The engine on the host of a site that has been prepared.
    pub fn on(site: Site, kind: Kind, options: &[&str]) -> Result<Self> {
        let engine = Engine::start(kind, &site.host, options)?;
        Ok(Self { site, engine, wrong: RefCell::default() })
    }

    /// A running container named `name` with more words for `run`, in which nothing listens.
    pub fn container(&self, name: &str, more: &[&str]) -> Result<Inside> {
        let run = [&["run", "-d", "--name", name, "--stop-timeout", "0"], more];
        self.engine.ok(&[&run.concat()[..], &[crate::daemon::IMAGE, "sleep", "100000"]].concat())?;
        self.inside(name)
    }

    /// A container that runs.
    pub fn inside(&self, name: &str) -> Result<Inside> {
        const TOLD: &str = "{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}";
        let told = self.engine.ok(&["inspect", "-f", TOLD, name])?;
        let mut words = told.split(' ');
        let pid = words.next().unwrap_or_default().parse().with_context(|| told.clone())?;
        let ip = words.find_map(|word| word.parse().ok());
        Ok(Inside { name: name.to_owned(), netns: Namespace::of(pid)?, ip })
    }

    /// A probe must see this, with both engines.
    pub fn sees(&self, what: &str, expected: &str, probe: impl FnMut() -> Result<Answer>) -> Result<()> {
        self.judge(what, expected, probe)
    }

    /// A probe must see `ours`, or `docker` with Docker, for the stated reason.
    pub fn differs(
        &self,
        what: &str,
        (ours, docker): (&str, &str),
        _reason: &str,
        probe: impl FnMut() -> Result<Answer>,
    ) -> Result<()> {
        self.judge(what, if self.engine.kind() == Kind::Berth { ours } else { docker }, probe)
    }

    /// A value that is not a probe's.
    pub fn is(&self, what: &str, expected: impl Display, seen: impl Display) {
        let (expected, seen) = (expected.to_string(), seen.to_string());
        if expected != seen {
            self.wrong.borrow_mut().push(format!("{what}: {seen}, not {expected}"));
        }
    }

    fn judge(&self, what: &str, expected: &str, mut probe: impl FnMut() -> Result<Answer>) -> Result<()> {
        let start = Instant::now();
        let mut seen = probe().with_context(|| what.to_owned())?.to_string();
        // What arrives late on a machine under load has arrived.
        while seen != expected
            && expected != Answer::Silence.to_string()
            && start.elapsed() < crate::programs::patient(PATIENCE)
        {
            seen = probe().with_context(|| what.to_owned())?.to_string();
        }
        self.is(what, expected, seen);
        Ok(())
    }

    /// Ends the engine; nothing of it may be left on the host, and nothing may have been wrong.
    pub fn finish(self) -> Result<()> {
        let (kind, Self { site, engine, wrong }) = (self.engine.kind(), self);
        engine.finish()?;
        if kind == Kind::Berth {
            site.is_as_before()?;
        }
        let wrong = wrong.into_inner();
        if !wrong.is_empty() {
            bail!("{kind:?}:\n{}", wrong.join("\n"));
        }
        Ok(())
    }
}

impl Inside {
    /// Answers on a TCP port, on every address.
    pub fn tcp(&self, port: u16) -> Result<Server> {
        Server::tcp(&self.netns, at("::", port)?, &self.name)
    }

    /// Answers on a UDP port, on every address.
    pub fn udp(&self, port: u16) -> Result<Server> {
        Server::udp(&self.netns, at("::", port)?, &self.name)
    }

    /// Its IPv4 address.
    pub fn ip(&self) -> Result<IpAddr> {
        self.ip.with_context(|| format!("{} has no address", self.name))
    }
}
