//! Requests that make or change containers.

use api::Version;
use api::container as wire;
use engine::container as model;

use super::{config, host_config, legacy, mount, network, resources};
use crate::error::Result;

/// A container that a client wishes for.
pub(crate) fn create(
    mut request: wire::CreateRequest,
    name: Option<String>,
    platform: String,
    version: Version,
) -> Result<model::CreateRequest> {
    legacy::create(&mut request, version)?;
    // 0 and everything below are "unlimited", and shown as no limit
    let pids = &mut request.host_config.resources.pids_limit;
    *pids = pids.filter(|limit| *limit > 0);
    Ok(model::CreateRequest {
        name,
        platform,
        config: config::from_wire(request.config),
        host: host_config::from_wire(request.host_config)?,
        networking: network::from_wire(request.networking_config),
    })
}

/// The settings of a wish as an answer would show them.
pub(crate) fn told(request: &model::CreateRequest) -> (wire::Config, wire::HostConfig) {
    (config::to_wire(&request.config), host_config::to_wire(&request.host))
}

/// Other limits for a container.
pub(crate) fn update(request: wire::UpdateRequest) -> Result<model::Update> {
    let restart_policy = match request.restart_policy.name.as_str() {
        "" if request.restart_policy.maximum_retry_count == 0 => None,
        _ => Some(host_config::restart_policy(&request.restart_policy)?),
    };
    let changes = model::Changes {
        publish: oci::ports::apart(&host_config::port_bindings(request.publish)),
        publish_remove: request.publish_remove,
        mounts: request.mounts.into_iter().map(mount::from_wire).collect::<Result<_>>()?,
        mounts_remove: request.mounts_remove,
        env: request.env,
        env_remove: request.env_remove,
        labels: request.labels,
        labels_remove: request.labels_remove,
    };
    Ok(model::Update { resources: resources::from_wire(request.resources)?, restart_policy, changes })
}

/// Height and width of a terminal; what no terminal can be is its largest size.
pub(crate) fn console_size(size: [u64; 2]) -> [u32; 2] {
    size.map(|side| u32::try_from(side).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::version::MAX;

    fn created(json: &str, version: Version) -> Result<model::CreateRequest> {
        create(serde_json::from_str(json).unwrap(), None, String::new(), version)
    }

    #[test]
    fn old_clients_get_the_defaults_of_their_time() {
        let modes = |minor| {
            let host = created("{}", Version::minor(minor)).unwrap().host;
            (host.cgroupns_mode, host.ipc_mode)
        };
        assert_eq!(modes(39), ("host".to_owned(), "shareable".to_owned()));
        assert_eq!(modes(40), ("host".to_owned(), String::new()));
        assert_eq!(modes(41), (String::new(), String::new()));
    }

    #[test]
    fn a_null_endpoint_is_an_endpoint() {
        let request = created(r#"{"NetworkingConfig":{"EndpointsConfig":{"bridge":null}}}"#, MAX).unwrap();
        assert!(request.networking.endpoints.contains_key("bridge"));
    }

    #[test]
    fn several_endpoints_need_a_client_that_knows_of_them() {
        let json = r#"{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}"#;
        assert!(created(json, MAX).is_ok());
        let error = created(json, Version::minor(43)).unwrap_err().to_string();
        assert_eq!(error, "Container cannot be connected to network endpoints: a, b");
    }
}
