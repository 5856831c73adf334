//! A network for all machines.

use super::{DRIVER, convert, refused, wait};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::NetworkRequest;
use crate::network::attach::kind;

/// Makes a shared network; blocks.
///
/// # Errors
/// This daemon takes part in no cluster; the name is taken here or there; the subnet is; the store can't be reached.
pub(crate) fn create(engine: &Inner, request: &NetworkRequest) -> Result<::network::NetworkInfo> {
    let Some(part) = &engine.cluster else {
        return Err(Error::unavailable(format!(
            "network {}: the driver {DRIVER} needs a store that all hosts share: start berthd with \
             --cluster-store=etcd://HOST:PORT and --cluster-advertise=IP:PORT or INTERFACE:PORT",
            request.name
        )));
    };
    if request.name.trim().is_empty() {
        return Err(Error::bad_parameter("invalid name: name is empty"));
    }
    if matches!(request.name.as_str(), "bridge" | "host" | "none" | "default") {
        return Err(Error::forbidden(format!(
            "operation is not permitted on predefined {} network",
            request.name
        )));
    }
    let local = |error: ::network::Error| {
        let kind = kind(&error);
        Error::system(error.to_string()).of_kind(kind).with_source(error)
    };
    if engine.network.networks().iter().any(|network| network.name == request.name) {
        return Err(local(::network::Error::NameInUse(request.name.clone())));
    }
    let wished = convert::wished(request)?;
    if wished.encrypted {
        engine.network.check_encryption(&request.name).map_err(local)?;
    }
    let used = engine.network.subnets_in_use().map_err(local)?;
    let choose = request.ipv4.then_some(used.as_slice());
    let made = wait(part.cluster.create_network(wished, choose)).map_err(refused)?;
    engine.network.define_overlay(&convert::overlay(&made)).map_err(|error| {
        // what this machine can't have, nobody gets by its order
        if let Err(error) = wait(part.cluster.remove_network(&made.id)) {
            tracing::warn!(network = %made.name, %error, "a network that could not be made stays in the cluster store");
        }
        local(error)
    })
}
