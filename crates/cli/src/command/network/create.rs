//! `berth network create`

use api::Action;
use api::network::{ConfigReference, CreateRequest, CreateResponse, Ipam};

use super::ipam;
use crate::command::{Arity, Command};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::opts::{env, kv};

pub(crate) static COMMAND: Command =
    Command::new("create", "[OPTIONS] NETWORK", "Create a network", Arity::Exactly(1), |context, matches| {
        let request = request(matches)?;
        let made: CreateResponse =
            context.client()?.call(Action::NetworkCreate, "").json(&request)?.fetch()?;
        if !made.warning.is_empty() {
            context.out.error_line(&format!("WARNING: {}", made.warning));
        }
        context.out.line(&made.id)
    })
    .flags(&[&[
        Flag::bool("attachable", "Let containers join it by hand"),
        Flag::list("aux-address", "Keep addresses from containers (name=address)").ty("map").shows("map[]"),
        Flag::string("config-from", "Take the configuration from this network"),
        Flag::bool("config-only", "Make a configuration for other networks only"),
        Flag::string("driver", "Driver of the network").short('d').default("bridge"),
        Flag::list("gateway", "IPv4 or IPv6 address of the gateway of a subnet").ty("ipSlice"),
        Flag::bool("ingress", "Make the routing mesh of a swarm"),
        Flag::bool("internal", "No way out of the network, and none in"),
        Flag::list("ip-range", "Give addresses of this part of the subnet").ty("ipNetSlice"),
        Flag::string("ipam-driver", "Driver of address management").default("default"),
        Flag::list("ipam-opt", "Set options of the driver of address management").ty("map").shows("map[]"),
        Flag::bool("ipv4", "Give IPv4 addresses").default("true"),
        Flag::bool("ipv6", "Give IPv6 addresses"),
        Flag::list("label", "Set metadata").check(env::check_label),
        Flag::list("opt", "Set options of the driver").ty("map").short('o').shows("map[]"),
        Flag::string("scope", "How far the network reaches"),
        Flag::list("subnet", "Subnet in CIDR form").ty("stringSlice"),
    ]]);

fn request(matches: &Matches) -> Result<CreateRequest> {
    let config_from = matches.get("config-from");
    Ok(CreateRequest {
        name: matches.arg(0).to_owned(),
        driver: matches.get("driver").to_owned(),
        scope: matches.get("scope").to_owned(),
        enable_ipv4: matches.given("ipv4").map(|_| matches.bool("ipv4")),
        enable_ipv6: matches.given("ipv6").map(|_| matches.bool("ipv6")),
        ipam: Some(Ipam {
            driver: matches.get("ipam-driver").to_owned(),
            options: Some(kv::map(&matches.all("ipam-opt"))),
            config: ipam::subnets(matches).map_err(Error::Said)?,
        }),
        internal: matches.bool("internal"),
        attachable: matches.bool("attachable"),
        ingress: matches.bool("ingress"),
        config_only: matches.bool("config-only"),
        config_from: (!config_from.is_empty()).then(|| ConfigReference { network: config_from.to_owned() }),
        options: kv::map(&matches.all("opt")),
        labels: env::labels(&[], &matches.all("label"))?,
    })
}
