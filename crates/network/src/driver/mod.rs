//! What kinds of network there are. Each kind that can be made has a file here, which reads its
//! options; the manager asks it to bring a network up, to join a container to it, and to take it
//! down again, and knows nothing else of the differences.

pub(crate) mod bridge;
pub(crate) mod endpoint;
pub(crate) mod overlay;
pub(crate) mod sublink;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::bridge::Joined;
use crate::config::{AddressPool, BridgeConfig};
use crate::definition::Definition;
use crate::endpoint::MacAddr;
use crate::error::{Error, Result};
use crate::ipam::{Family, Pool, Side};
use crate::lan::{self, Lan, Parent};
use crate::netlink::Socket;
use crate::netns::Namespace;
use crate::route::{MacvlanMode, Manner};
use crate::wireguard;
use overlay::{Overlay, Underlay};

/// A network's kind, with what it is to be.
#[derive(Debug, Clone)]
pub(crate) enum Driver {
    /// A bridge, ours or the administrator's.
    Bridge(BridgeConfig),
    /// A bridge with a tunnel to other machines.
    Overlay(Overlay),
    /// Interfaces on one of the host's: macvlan, ipvlan.
    Lan(Lan),
    /// None: a configuration for other networks.
    Settings,
}

/// A network in the host's namespace, while it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index of the interface that containers are joined to: the bridge, or the parent.
    pub(crate) index: u32,
    /// Largest packet.
    pub(crate) mtu: u32,
    /// The hardware address that its containers share with the parent, where they do.
    pub(crate) mac: Option<MacAddr>,
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
    /// The daemon's own part of IPv6's private addresses.
    pub(crate) private: Option<Ipv6Net>,
    /// The address that the host had on it before, where nobody has asked for one.
    pub(crate) recorded: Option<Ipv4Net>,
    /// How tunnels leave this machine, once that is known.
    pub(crate) underlay: Option<Underlay>,
    /// What encrypted networks go through, where the kernel has it.
    pub(crate) wireguard: Option<wireguard::Device<'a>>,
    /// Likewise, in IPv6.
    pub(crate) recorded6: Option<Ipv6Net>,
}

impl Driver {
    /// That of a network that a person made.
    pub(crate) fn of(network: &Definition) -> Self {
        let lan = |options: sublink::Options| {
            let parent = Parent::of(options.parent.as_deref(), &network.id);
            let side = |pool: &Pool| Side {
                subnet: pool.subnet,
                range: pool.ip_range,
                host: None,
                gateway: match pool.subnet {
                    IpNet::V4(_) if options.routed() => Some(Ipv4Addr::UNSPECIFIED.into()),
                    IpNet::V6(_) if options.routed() => Some(Ipv6Addr::UNSPECIFIED.into()),
                    _ => pool.gateway,
                },
            };
            let sides = network.pools.iter().map(side).collect();
            Self::Lan(Lan { parent, manner: options.manner, mtu: options.mtu, sides })
        };
        // Its options were read when it was made.
        if let Some(shared) = &network.shared {
            return Self::Overlay(Overlay::of(network, shared));
        }
        match network.driver.as_str() {
            _ if network.config_only => Self::Settings,
            driver @ ("macvlan" | "ipvlan") => match sublink::read(driver, &network.options) {
                Ok(Some(options)) => lan(options),
                _ => Self::Settings,
            },
            _ => Self::Bridge(network.bridge()),
        }
    }

    /// Its containers reach each other and nothing else: there is no parent that leads anywhere.
    pub(crate) const fn closed(&self) -> bool {
        matches!(self, Self::Lan(Lan { parent: Parent::Dummy(_), .. }))
    }

    /// The host's interface that its containers stand on.
    pub(crate) const fn parent(&self) -> Option<&Parent> {
        match self {
            Self::Lan(lan) => Some(&lan.parent),
            _ => None,
        }
    }

    /// How its containers stand on the host's interface.
    pub(crate) const fn manner(&self) -> Option<Manner> {
        match self {
            Self::Lan(lan) => Some(lan.manner),
            _ => None,
        }
    }

    /// The bridge, if it is one: what the firewall knows, where ports can be published, and whose
    /// containers the host reaches.
    pub(crate) const fn bridge(&self) -> Option<&BridgeConfig> {
        match self {
            Self::Bridge(bridge) => Some(bridge),
            Self::Overlay(overlay) => Some(&overlay.bridge),
            Self::Lan(_) | Self::Settings => None,
        }
    }

    /// The overlay, if it is one.
    pub(crate) const fn overlay(&self) -> Option<&Overlay> {
        match self {
            Self::Overlay(overlay) => Some(overlay),
            _ => None,
        }
    }

    /// Makes the host's part, or finds it as an earlier daemon left it. Idempotent.
    pub(crate) fn bring_up(&self, host: &mut Socket, setting: &Setting<'_>) -> Result<Segment> {
        match self {
            Self::Bridge(config) => crate::bridge::ensure(host, config, setting),
            Self::Overlay(overlay) => overlay.bring_up(host, setting),
            Self::Lan(config) => {
                let parent = lan::ensure(host, setting.owner, &config.parent)?;
                let shared = !matches!(
                    config.manner,
                    Manner::Macvlan(MacvlanMode::Bridge | MacvlanMode::Private | MacvlanMode::Vepa)
                );
                let sides = config.sides.clone();
                Ok(Segment {
                    index: parent.index,
                    mtu: parent.mtu,
                    sides,
                    mac: parent.mac.filter(|_| shared),
                })
            }
            Self::Settings => Err(configuration_only()),
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
            Self::Bridge(_) | Self::Overlay(_) => crate::bridge::join(host, segment, namespace, wanted),
            Self::Lan(config) => lan::join(host, config, segment, namespace, wanted),
            Self::Settings => Err(configuration_only()),
        }
    }

    /// Takes the host's part away, if it is ours. That there is none is no error.
    pub(crate) fn take_down(&self, host: &mut Socket, owner: &str) -> Result<()> {
        match self {
            Self::Bridge(config) => crate::bridge::remove(host, config),
            Self::Overlay(overlay) => overlay.take_down(host),
            Self::Lan(config) => lan::release(host, owner, &config.parent),
            Self::Settings => Ok(()),
        }
    }
}

fn configuration_only() -> Error {
    Error::Forbidden("cannot create endpoint on configuration-only network".to_owned())
}

/// Kinds of network that Docker has and that are not there yet.
const PLANNED: [&str; 1] = ["overlay"];

/// Refuses a driver that cannot make a network for a person.
pub(crate) fn check(driver: &str) -> Result<()> {
    match driver {
        "bridge" | "macvlan" | "ipvlan" => Ok(()),
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

/// Judges an option that a driver does not know. A tool's own, which bears the tool's name as a label does
/// (`com.example.purpose`), is kept and shown as Docker keeps it; anything else would be thought to have an effect.
fn foreign(driver: &str, key: &str, value: &str) -> Result<()> {
    let labelled = key.split('.').filter(|part| !part.is_empty()).count() > 1;
    // Which families a network has is read by who asks for it.
    let families = matches!(key, "com.docker.network.enable_ipv4" | "com.docker.network.enable_ipv6");
    if families || (labelled && !key.starts_with("com.docker.network.")) {
        return Ok(());
    }
    let shown = |text: &str| -> String { text.chars().take(64).collect() };
    Err(Error::Unsupported(format!(
        "option {}={} is not supported by networks of the driver {driver}",
        shown(key),
        shown(value)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_tools_pass_and_mistakes_do_not() {
        assert!(foreign("bridge", "com.docker.compose.project", "x").is_ok());
        assert!(foreign("bridge", "org.example.colour", "red").is_ok());
        for mistake in ["foo", "parent", "macvlan_mode", "com.docker.network.bridge.nam", ".foo", "foo.", ""]
        {
            assert!(foreign("bridge", mistake, "x").is_err(), "{mistake}");
        }
    }

    #[test]
    fn drivers_are_refused_by_name() {
        assert!(check("bridge").is_ok());
        assert!(check("macvlan").is_ok());
        assert!(check("overlay").expect_err("planned").to_string().contains("overlay"));
        assert!(check("host").expect_err("one only").to_string().contains("only one instance of \"host\""));
        assert_eq!(check("foo").expect_err("unknown").to_string(), "plugin \"foo\" not found");
    }
}
