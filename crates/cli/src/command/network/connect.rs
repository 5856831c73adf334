//! `berth network connect`

use std::net::IpAddr;

use api::Action;
use api::network::{ConnectRequest, EndpointIpamConfig, EndpointSettings};

use crate::command::{Arity, Command};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches, check};
use crate::opts::kv;

pub(crate) static COMMAND: Command = Command::new(
    "connect",
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    Arity::Exactly(2),
    |context, matches| {
        let request = ConnectRequest {
            container: matches.arg(1).to_owned(),
            endpoint_config: Some(settings(matches)?),
        };
        context.client()?.call(Action::NetworkConnect, matches.arg(0)).json(&request)?.done()
    },
)
.flags(&[&[
    Flag::list("alias", "Add a name for the container in the network").ty("stringSlice"),
    Flag::list("driver-opt", "Set options of the driver for this connection").ty("stringSlice"),
    Flag::int("gw-priority", "Rank among the networks that may give the default route; the highest does")
        .default("0"),
    Flag::string("ip", "IPv4 address (such as 172.30.100.104)").ty("ip").check(address).shows("<nil>"),
    Flag::string("ip6", "IPv6 address (such as 2001:db8::33)").ty("ip").check(address).shows("<nil>"),
    Flag::list("link", "Link to another container"),
    Flag::list("link-local-ip", "Link-local addresses").ty("ipSlice").check(address),
]]);

fn address(text: &str) -> Result<(), String> {
    text.parse::<IpAddr>().map(drop).map_err(|_error| format!("failed to parse IP: \"{text}\""))
}

fn settings(matches: &Matches) -> Result<EndpointSettings> {
    let split = |flag: &str| -> Vec<String> {
        let values = matches.all(flag);
        values.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect()
    };
    let options = split("driver-opt");
    if options.iter().any(|option| !option.contains('=')) {
        return Err(Error::said("invalid key/value pair format in driver options"));
    }
    let addresses = EndpointIpamConfig {
        ipv4_address: matches.get("ip").to_owned(),
        ipv6_address: matches.get("ip6").to_owned(),
        link_local_ips: split("link-local-ip"),
    };
    Ok(EndpointSettings {
        ipam_config: Some(addresses),
        links: matches.list("link"),
        aliases: split("alias"),
        driver_opts: kv::map(&options.iter().map(String::as_str).collect::<Vec<_>>()),
        gw_priority: check::parse_int(matches.get("gw-priority")).map_err(Error::Said)?,
        ..EndpointSettings::default()
    })
}
