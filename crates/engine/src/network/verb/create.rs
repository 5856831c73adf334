//! `create`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event;
use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::network::attach::kind;
use crate::network::cluster;

pub use ::network::SubnetRequest;

/// A network that is wished for.
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// Its driver; empty = `bridge`.
    pub driver: String,
    /// `local`, or empty.
    pub scope: String,
    /// IPv4 addresses; on unless said otherwise.
    pub ipv4: bool,
    /// IPv6 addresses.
    pub ipv6: bool,
    /// Who gives addresses; empty = `default`.
    pub ipam_driver: String,
    /// Options of who gives addresses.
    pub ipam_options: BTreeMap<String, String>,
    /// Subnets.
    pub subnets: Vec<SubnetRequest>,
    /// No way out.
    pub internal: bool,
    /// Containers may join.
    pub attachable: bool,
    /// Swarm's routing mesh.
    pub ingress: bool,
    /// A configuration for others, no network.
    pub config_only: bool,
    /// The network whose configuration this one takes.
    pub config_from: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A network that has been made.
#[derive(Debug, Clone)]
pub struct NetworkMade {
    /// Its id.
    pub id: String,
    /// What of the request has no effect; mostly empty.
    pub warning: String,
}

impl Engine {
    /// Makes a network; its id, and what was asked for in vain.
    ///
    /// # Errors
    /// The name is taken; a setting is wrong or can't be had; no subnet is free.
    pub async fn network_create(&self, mut request: NetworkRequest) -> Result<NetworkMade> {
        check(&request)?;
        if self.0.config.rootless {
            check_rootless(&request.driver)?;
        }
        add_defaults(&mut request, &self.0.config.network_options);
        let engine = Arc::clone(&self.0);
        blocking(move || {
            if request.driver == cluster::DRIVER && !request.config_only {
                let made = cluster::create(&engine, &request)?;
                event::publish(&engine, "create", &made.id, &made.name, &made.driver, None);
                return Ok(NetworkMade { id: made.id, warning: String::new() });
            }
            let made = engine.network.create(::network::CreateRequest {
                name: request.name,
                driver: request.driver,
                scope: request.scope,
                enable_ipv4: request.ipv4,
                enable_ipv6: request.ipv6,
                ipam_options: request.ipam_options,
                ingress: request.ingress,
                config_only: request.config_only,
                config_from: request.config_from,
                subnets: request.subnets,
                internal: request.internal,
                attachable: request.attachable,
                options: request.options,
                labels: request.labels,
            });
            let made = made.map_err(|error| {
                let kind = kind(&error);
                Error::system(error.to_string()).of_kind(kind).with_source(error)
            })?;
            event::publish(&engine, "create", &made.id, &made.name, &made.driver, None);
            Ok(NetworkMade { warning: made.without_effect(), id: made.id })
        })
        .await
    }
}

/// The daemon's options for networks of this driver, where the request has none of that name. A network that takes
/// another's configuration has all of its options from there.
fn add_defaults(request: &mut NetworkRequest, defaults: &BTreeMap<String, BTreeMap<String, String>>) {
    let driver = if request.driver.is_empty() { "bridge" } else { &request.driver };
    if !request.config_from.is_empty() {
        return;
    }
    for (name, value) in defaults.get(driver).into_iter().flatten() {
        request.options.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// What is refused by name.
fn check(request: &NetworkRequest) -> Result<()> {
    // What only a swarm has, in Docker's words for a machine that is in none.
    let swarm = match request.scope.as_str() {
        "swarm" => Some("cannot create a swarm scoped network when swarm is not active"),
        "" | "local" if request.ingress => Some("Ingress network can only be global scope network"),
        "" | "local" => None,
        "global" if request.driver == "overlay" && !request.ingress => None,
        _ => Some(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
             node to swarm and try again.",
        ),
    };
    if let Some(why) = swarm.filter(|_| !request.config_only) {
        return Err(Error::forbidden(why));
    }
    match request.ipam_driver.as_str() {
        "" | "default" => Ok(()),
        // It gives no addresses, which every network of ours has.
        "null" if request.subnets.is_empty() => Err(Error::bad_parameter("ipv4 pool is empty")),
        "null" => {
            Err(Error::bad_parameter("null ipam driver does not handle specific address pool requests"))
        }
        other => Err(Error::not_found(format!("plugin \"{other}\" not found"))),
    }
}

/// What the networks of an ordinary user's daemon can't be.
fn check_rootless(driver: &str) -> Result<()> {
    match driver {
        "macvlan" | "ipvlan" | cluster::DRIVER => Err(Error::bad_parameter(format!(
            "{driver} networks are part of the host's, where an ordinary user's daemon has no rights: choose driver bridge"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_options_count_where_the_request_has_none() {
        let options = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let defaults = BTreeMap::from([("bridge".to_owned(), options(&[("mtu", "1"), ("icc", "2")]))]);
        let with = |change: fn(&mut NetworkRequest)| {
            let mut request =
                NetworkRequest { options: options(&[("mtu", "9")]), ..NetworkRequest::default() };
            change(&mut request);
            add_defaults(&mut request, &defaults);
            request.options
        };
        assert_eq!(with(|_| {}), options(&[("mtu", "9"), ("icc", "2")]));
        assert_eq!(with(|request| request.driver = "macvlan".into()), options(&[("mtu", "9")]));
        assert_eq!(with(|request| request.config_from = "other".into()), options(&[("mtu", "9")]));
    }

    #[test]
    fn what_is_not_there_yet_is_refused_by_name() {
        let refused = |change: fn(&mut NetworkRequest)| {
            let mut request = NetworkRequest { ipv4: true, ..NetworkRequest::default() };
            change(&mut request);
            check(&request).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refused(|_| {}), "");
        assert_eq!(refused(|request| request.ipv6 = true), "");
        assert!(refused(|request| request.scope = "swarm".into()).contains("swarm is not active"));
        assert!(refused(|request| request.scope = "global".into()).contains("not a swarm manager"));
        assert!(refused(|request| request.ingress = true).contains("global scope network"));
        assert!(refused(|request| request.ipam_driver = "dhcp".into()).contains("plugin \"dhcp\" not found"));
        assert!(refused(|request| request.ipam_driver = "null".into()).contains("pool is empty"));
    }
}
