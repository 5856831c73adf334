//! Making and removing networks.

use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use rustix::io::Errno;

use super::Network;
use super::state::{Net, State};
use crate::config::{MIN_MTU6, Presence};
use crate::definition::{CreateRequest, Definition};
use crate::driver;
use crate::error::{Error, Result};
use crate::ipam::{self, Family, Pool, Wanted};
use crate::lan::{self, Parent};
use crate::model::NetworkInfo;
use crate::record::random_id;
use crate::route::{self, MacvlanMode, Manner};
use crate::sysctl;

/// Networks at most.
const MAX_NETWORKS: usize = 4096;
/// Subnets that are tried at most, when other daemons take those that were free a moment ago.
const MAX_TRIES: usize = 64;
/// Longest name, label and option, and how many of the two there may be.
const MAX_TEXT: usize = 64 << 10;

impl Network {
    /// Makes a network: its record, and its bridge, so that nobody else takes its subnet.
    ///
    /// # Errors
    /// The name is taken, an option is unknown or wrong, the subnet overlaps another network's, no
    /// subnet is free, or the kernel refuses. Nothing of it stays then.
    pub fn create(&self, request: CreateRequest) -> Result<NetworkInfo> {
        check(&request)?;
        if request.config_only {
            return self.create_settings(request);
        }
        let request = self.state().configured(request)?;
        let driver = if request.driver.is_empty() { "bridge" } else { &request.driver };
        driver::check(driver)?;
        let lan = driver::sublink::read(driver, &request.options)?;
        let options = match &lan {
            Some(_) => driver::bridge::Options::default(),
            None => driver::bridge::read(&request.options)?,
        };
        options.check(request.internal)?;
        let families = families(&request, options.mtu)?;
        let wanted = ipam::read(&request.subnets, &families)?;
        let mut state = self.state();
        state.check_name(&request.name)?;
        let id = random_id()?;
        if let Some(name) = &options.name {
            state.check_bridge(&id, name)?;
        }
        if let Some(lan) = &lan {
            lan::probe(&mut self.host(), lan.manner)?;
            state.check_parent(&Parent::of(lan.parent.as_deref(), &id), lan.manner)?;
        }
        // A way out has an address where there is a router to have it.
        let routed =
            !lan.as_ref().is_some_and(|lan| lan.parent.is_none() || lan.routed() || request.internal);
        let routed = options.presence().map(|presence| routed && presence != Presence::Isolated);
        self.settle_default(&mut state)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let external = match &options.name {
            Some(name) => self.is_foreign(name)?,
            None => false,
        };
        let define = |pools: Vec<Pool>| {
            let mut network = Definition::new(id.clone(), created_ms, request.clone(), pools);
            network.external = external;
            network
        };
        if wanted.iter().filter_map(|wanted| wanted.subnet).any(|subnet| state.overlaps(subnet)) {
            return Err(Error::PoolOverlap);
        }
        self.bring_up_somewhere(&mut state, &wanted, routed, define)?;
        let net = state.net(&id)?;
        Ok(net.info(&id))
    }

    /// Removes a network, its bridge and its record.
    ///
    /// # Errors
    /// It does not exist, it is the default one, or containers are on it; the kernel refuses, or
    /// the record cannot be removed.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut state = self.state();
        let net = state.net(id)?;
        let name = net.name.clone();
        let Some(definition) = net.definition.clone() else {
            return Err(Error::Forbidden(format!("{name} is a pre-defined network and cannot be removed")));
        };
        if state.placed().any(|(_, endpoint)| endpoint.network_id == id) {
            return Err(Error::InUse { name, id: id.to_owned() });
        }
        state.check_lent(&definition)?;
        // Without its record the bridge is an orphan, which the next start would sweep.
        definition.remove(&self.config.data_dir)?;
        let net = state.nets.remove(id);
        let removed = match net {
            // Others stand on the same interface.
            Some(net) if state.share(&net) => Ok(()),
            Some(net) => net.driver.take_down(&mut self.host(), &self.owner),
            None => Ok(()),
        };
        let removed = removed.and(self.retire_wireguard(&state).map(drop));
        let rules = if self.has_rules(&state)? { self.apply_rules(&state) } else { Ok(()) };
        removed.and(rules)
    }

    /// Rules are there, or ought to be.
    fn has_rules(&self, state: &State) -> Result<bool> {
        let up = state.nets.values().any(|net| net.up.is_some());
        Ok(up || (self.config.firewall && self.firewall().exists()?))
    }

    /// Settles on the default network's subnets, if it has none yet, so that it keeps Docker's.
    fn settle_default(&self, state: &mut State) -> Result<()> {
        let config = &self.config.bridge;
        if config.external {
            return Ok(());
        }
        let id = state.record.bridge.id.clone();
        let open = [
            (Family::V4, state.record.bridge_address.is_none() && config.bip.is_none()),
            (
                Family::V6,
                config.ipv6 && state.record.bridge_address6.is_none() && config.address6().is_none(),
            ),
        ];
        for (family, _) in open.into_iter().filter(|(_, open)| *open) {
            let used = self.in_use(state)?;
            let Some(subnet) = self.candidates(state, family, &used).next() else { continue };
            match IpNet::new(ipam::first(subnet, None), subnet.prefix_len()) {
                Ok(IpNet::V4(address)) => state.record.bridge_address = Some(address),
                Ok(IpNet::V6(address)) => state.record.bridge_address6 = Some(address),
                Err(_) => continue,
            }
            state.write_record(&self.config.data_dir)?;
            state.net_mut(&id)?.subnets.push(subnet);
        }
        Ok(())
    }

    /// Free subnets of a family, in order of preference.
    fn candidates<'u>(
        &self,
        state: &State,
        family: Family,
        used: &'u [IpNet],
    ) -> impl Iterator<Item = IpNet> + use<'u> {
        let private = ipam::private(&state.record.bridge.id);
        ipam::candidates(&self.config.address_pools, family, private, used)
    }

    /// Subnets that no network of ours may have: the machine's, and our own networks'.
    pub(super) fn in_use(&self, state: &State) -> Result<Vec<IpNet>> {
        let mut used = route::subnets_in_use(&mut self.host())?;
        used.extend(state.nets.values().flat_map(|net| net.subnets.iter().copied()));
        Ok(used)
    }

    /// On the subnets that are wanted, and else on the first that are free. Two daemons that choose at
    /// the same time see the same subnets free: the bridge's claim decides.
    fn bring_up_somewhere(
        &self,
        state: &mut State,
        wanted: &[Wanted],
        routed: [bool; 2],
        define: impl Fn(Vec<Pool>) -> Definition,
    ) -> Result<()> {
        let used = self.in_use(state)?;
        let mut sources: Vec<_> =
            wanted.iter().map(|one| (one, self.candidates(state, one.family, &used))).collect();
        let any = wanted.iter().any(|one| one.subnet.is_none());
        for _ in 0..MAX_TRIES {
            let mut pools = Vec::with_capacity(wanted.len());
            for (one, free) in &mut sources {
                let none = || Error::NoFreeSubnet { family: one.family.to_string() };
                let subnet = one.subnet.or_else(|| free.next()).ok_or_else(none)?;
                pools.push(one.on(subnet, routed[one.family.index()]));
            }
            match self.bring_up(state, define(pools)) {
                // The subnet is another daemon's.
                Err(error) if error.errno() == Some(Errno::EXIST) && any => {}
                Err(error) if error.errno() == Some(Errno::EXIST) => break,
                result => return result,
            }
        }
        Err(Error::PoolOverlap)
    }

    /// The bridge, then the record: a bridge without one is swept.
    fn bring_up(&self, state: &mut State, network: Definition) -> Result<()> {
        let id = network.id.clone();
        state.nets.insert(id.clone(), Net::of(network.clone(), &self.config));
        let made = self.ensure(state, &id).map(drop).and_then(|()| network.write(&self.config.data_dir));
        let Err(error) = made else { return Ok(()) };
        if let Some(net) = state.nets.remove(&id).filter(|net| !state.share(net)) {
            // The first error is the one to report; what stays is swept.
            let _ = net.driver.take_down(&mut self.host(), &self.owner);
        }
        let _ = network.remove(&self.config.data_dir).and_then(|()| self.apply_rules(state));
        Err(error)
    }

    /// Whether an interface has this name that is none of our bridges.
    fn is_foreign(&self, name: &str) -> Result<bool> {
        let link = route::by_name(&mut self.host(), name)?;
        Ok(link.is_some_and(|link| link.alias.as_deref() != Some(&self.owner)))
    }
}

impl State {
    pub(super) fn check_name(&self, name: &str) -> Result<()> {
        if ["bridge", "host", "none", "default"].contains(&name) || name.starts_with("container:") {
            return Err(Error::Forbidden(format!("operation is not permitted on predefined {name} network")));
        }
        if self.nets.values().any(|net| net.name == name) {
            return Err(Error::NameInUse(name.to_owned()));
        }
        if self.nets.len() >= MAX_NETWORKS {
            return Err(Error::Forbidden(format!("there are {MAX_NETWORKS} networks already")));
        }
        Ok(())
    }

    pub(super) fn check_bridge(&self, id: &str, name: &str) -> Result<()> {
        let other = self.nets.iter().find(|(_, net)| net.bridge_name() == Some(name));
        other.map_or(Ok(()), |(other, _)| {
            Err(Error::Forbidden(format!(
                "cannot create network {id} ({name}): conflicts with network {other} ({name}): networks have same \
                 bridge name"
            )))
        })
    }

    /// Whether another network stands on the same interface of the host's.
    fn share(&self, net: &Net) -> bool {
        let Some(parent) = net.driver.parent() else { return false };
        self.nets.values().any(|other| other.driver.parent() == Some(parent))
    }

    /// A parent in the mode `passthru` has one network.
    fn check_parent(&self, parent: &Parent, manner: Manner) -> Result<()> {
        let alone = Manner::Macvlan(MacvlanMode::Passthru);
        let mut others = self.nets.iter().filter(|(_, net)| net.driver.parent() == Some(parent));
        others.try_for_each(|(id, net)| {
            let (name, kind) = (parent.name(), manner.kind());
            Err(Error::Forbidden(match net.driver.manner() {
                Some(other) if other.kind() != kind || kind == "ipvlan" => {
                    format!("network {id} is already using parent interface {name}")
                }
                Some(other) if other == alone => {
                    format!("macvlan network {id} is already using parent interface {name} in mode passthru")
                }
                _ if manner == alone => format!(
                    "cannot use mode passthru, macvlan network {id} is already using parent interface {name}"
                ),
                _ => return Ok(()),
            }))
        })
    }

    pub(super) fn overlaps(&self, subnet: IpNet) -> bool {
        self.nets.values().flat_map(|net| &net.subnets).any(|used| ipam::overlap(*used, subnet))
    }
}

/// The families that a network is to have.
fn families(request: &CreateRequest, mtu: Option<u32>) -> Result<Vec<Family>> {
    if request.enable_ipv6 {
        if !sysctl::has_ipv6() {
            return Err(Error::Config("this kernel has no IPv6 (or it is switched off)".to_owned()));
        }
        if let Some(mtu) = mtu.filter(|mtu| *mtu < MIN_MTU6) {
            return Err(Error::Invalid(format!("invalid MTU: {mtu}: IPv6 needs {MIN_MTU6} at least")));
        }
    }
    let has = [(Family::V4, request.enable_ipv4), (Family::V6, request.enable_ipv6)];
    Ok(has.into_iter().filter(|(_, has)| *has).map(|(family, _)| family).collect())
}

/// Limits on what a record holds, and names that no command line could give back.
pub(super) fn check(request: &CreateRequest) -> Result<()> {
    let name = &request.name;
    if name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".to_owned()));
    }
    if name.len() > 255 || name.chars().any(char::is_control) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(Error::Invalid(format!("invalid name: {shown:?} is too long or not printable")));
    }
    let maps = request.labels.iter().chain(&request.options);
    if maps.map(|(key, value)| key.len() + value.len() + 1).sum::<usize>() > MAX_TEXT {
        return Err(Error::Invalid(format!("labels and options of more than {MAX_TEXT} bytes")));
    }
    Ok(())
}
