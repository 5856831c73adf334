//! What kinds of network there are. Each kind that can be made has a file here, which reads its
//! options; the manager asks it to bring a network up, to join a container to it, and to take it
//! down again, and knows nothing else of the differences.

pub(crate) mod bridge;

use std::sync::Mutex;

use ipnet::Ipv4Net;

use crate::bridge::Joined;
use crate::config::{AddressPool, BridgeConfig};
use crate::definition::Definition;
use crate::error::{Error, Result};
use crate::ipam::{Family, Side};
use crate::netlink::Socket;
use crate::netns::Namespace;

/// A network's kind, with what it is to be.
#[derive(Debug, Clone)]
pub(crate) enum Driver {
    /// A bridge, ours or the administrator's.
    Bridge(BridgeConfig),
}

/// A network in the host's namespace, while it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index of the interface that containers are joined to: the bridge, or the parent.
    pub(crate) index: u32,
    /// Largest packet.
    pub(crate) mtu: u32,
    /// Its subnets: one of each family at most.
    pub(crate) sides: Vec<Side>,
}

impl Segment {
    /// What it has in a family.
    pub(crate) fn side(&self, family: Family) -> Option<&Side> {
        self.sides.iter().find(|side| side.family() == family)
    }
}

/// What bringing a network up needs to know of the daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// What is written on interfaces of ours, by which they are swept.
    pub(crate) owner: &'a str,
    /// Pools that automatic subnets come from.
    pub(crate) pools: &'a [AddressPool],
    /// The address that the host had on it before, where nobody has asked for one.
    pub(crate) recorded: Option<Ipv4Net>,
}

impl Driver {
    /// That of a network that a person made.
    pub(crate) fn of(network: &Definition) -> Self {
        Self::Bridge(network.bridge())
    }

    /// The bridge, if it is one: what the firewall knows, where ports can be published, and whose
    /// containers the host reaches.
    pub(crate) const fn bridge(&self) -> Option<&BridgeConfig> {
        match self {
            Self::Bridge(bridge) => Some(bridge),
        }
    }

    /// Makes the host's part, or finds it as an earlier daemon left it. Idempotent.
    pub(crate) fn bring_up(&self, host: &mut Socket, setting: &Setting<'_>) -> Result<Segment> {
        match self {
            Self::Bridge(config) => {
                crate::bridge::ensure(host, setting.owner, config, setting.pools, setting.recorded)
            }
        }
    }

    /// Joins a namespace. On an error, what was made dies with the namespace.
    pub(crate) fn join(
        &self,
        host: &Mutex<Socket>,
        segment: &Segment,
        namespace: &mut Namespace,
        wanted: &Joined<'_>,
    ) -> Result<()> {
        match self {
            Self::Bridge(_) => crate::bridge::join(host, segment, namespace, wanted),
        }
    }

    /// Takes the host's part away. That there is none is no error.
    pub(crate) fn take_down(&self, host: &mut Socket) -> Result<()> {
        match self {
            Self::Bridge(config) => crate::bridge::remove(host, config),
        }
    }
}

/// Kinds of network that Docker has and that are not there yet.
const PLANNED: [&str; 3] = ["ipvlan", "macvlan", "overlay"];

/// Refuses a driver that cannot make a network for a person.
pub(crate) fn check(driver: &str) -> Result<()> {
    match driver {
        "bridge" => Ok(()),
        "host" | "null" => {
            Err(Error::Forbidden(format!("only one instance of \"{driver}\" network is allowed")))
        }
        planned if PLANNED.contains(&planned) => {
            Err(Error::Unsupported(format!("networks of the driver {planned} are not supported yet")))
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(Error::NoSuchDriver(shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_refused_by_name() {
        assert!(check("bridge").is_ok());
        assert!(check("macvlan").expect_err("planned").to_string().contains("macvlan"));
        assert!(check("host").expect_err("one only").to_string().contains("only one instance of \"host\""));
        assert_eq!(check("foo").expect_err("unknown").to_string(), "plugin \"foo\" not found");
    }
}
