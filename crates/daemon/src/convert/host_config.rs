//! `HostConfig`, both ways.

use std::collections::BTreeMap;

use api::container as wire;
use engine::container as model;
use engine::container::RestartPolicy;

use super::{create::console_size, mount, resources};
use crate::error::{ApiError, Result};

/// What a client sent.
pub(super) fn from_wire(host: wire::HostConfig) -> Result<model::HostConfig> {
    Ok(model::HostConfig {
        resources: resources::from_wire(host.resources)?,
        binds: host.binds,
        mounts: host.mounts.into_iter().map(mount::from_wire).collect::<Result<_>>()?,
        tmpfs: host.tmpfs,
        volumes_from: host.volumes_from,
        volume_driver: host.volume_driver,
        container_id_file: host.container_id_file,
        log_config: model::LogConfig { driver: host.log_config.kind, options: host.log_config.config },
        network_mode: host.network_mode,
        port_bindings: port_bindings(host.port_bindings),
        publish_all_ports: host.publish_all_ports,
        restart_policy: restart_policy(&host.restart_policy)?,
        auto_remove: host.auto_remove,
        console_size: console_size(host.console_size),
        annotations: host.annotations,
        cap_add: host.cap_add,
        cap_drop: host.cap_drop,
        cgroupns_mode: host.cgroupns_mode,
        dns: host.dns,
        dns_options: host.dns_options,
        dns_search: host.dns_search,
        extra_hosts: host.extra_hosts,
        group_add: host.group_add,
        ipc_mode: host.ipc_mode,
        cgroup: host.cgroup,
        links: host.links,
        oom_score_adj: host.oom_score_adj,
        pid_mode: host.pid_mode,
        privileged: host.privileged,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt,
        storage_opt: host.storage_opt,
        uts_mode: host.uts_mode,
        userns_mode: host.userns_mode,
        shm_size: host.shm_size,
        sysctls: host.sysctls,
        runtime: host.runtime,
        isolation: host.isolation,
        init: host.init,
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
    })
}

/// Published ports.
pub(super) fn port_bindings(ports: wire::PortMap) -> BTreeMap<String, Vec<model::PortBinding>> {
    ports
        .0
        .into_iter()
        .map(|(port, bindings)| (port, bindings.unwrap_or_default().into_iter().map(binding).collect()))
        .collect()
}

fn binding(binding: wire::PortBinding) -> model::PortBinding {
    model::PortBinding { host_ip: binding.host_ip, host_port: binding.host_port }
}

/// A restart policy, or why it is none.
pub(super) fn restart_policy(policy: &wire::RestartPolicy) -> Result<RestartPolicy> {
    let refuse = |reason: &str| Err(ApiError::bad_request(format!("invalid restart policy: {reason}")));
    if policy.maximum_retry_count < 0 {
        return refuse("maximum retry count cannot be negative");
    }
    if policy.maximum_retry_count > 0 && policy.name != "on-failure" {
        return refuse("maximum retry count can only be used with 'on-failure'");
    }
    match policy.name.as_str() {
        "" | "no" => Ok(RestartPolicy::No),
        "always" => Ok(RestartPolicy::Always),
        "unless-stopped" => Ok(RestartPolicy::UnlessStopped),
        "on-failure" => {
            Ok(RestartPolicy::OnFailure(u32::try_from(policy.maximum_retry_count).unwrap_or(u32::MAX)))
        }
        other => refuse(&format!(
            "unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )),
    }
}

/// What a client sees.
pub(super) fn to_wire(host: &model::HostConfig) -> wire::HostConfig {
    wire::HostConfig {
        binds: host.binds.clone(),
        container_id_file: host.container_id_file.clone(),
        log_config: wire::LogConfig {
            kind: host.log_config.driver.clone(),
            config: host.log_config.options.clone(),
        },
        network_mode: host.network_mode.clone(),
        port_bindings: wire::PortMap(
            host.port_bindings.iter().map(|(port, list)| (port.clone(), Some(bindings(list)))).collect(),
        ),
        restart_policy: wire::RestartPolicy {
            name: host.restart_policy.name().to_owned(),
            maximum_retry_count: i64::from(host.restart_policy.maximum_retry_count()),
        },
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver.clone(),
        volumes_from: host.volumes_from.clone(),
        console_size: host.console_size.map(u64::from),
        annotations: host.annotations.clone(),
        cap_add: host.cap_add.clone(),
        cap_drop: host.cap_drop.clone(),
        cgroupns_mode: host.cgroupns_mode.clone(),
        dns: host.dns.clone(),
        dns_options: host.dns_options.clone(),
        dns_search: host.dns_search.clone(),
        extra_hosts: host.extra_hosts.clone(),
        group_add: host.group_add.clone(),
        ipc_mode: host.ipc_mode.clone(),
        cgroup: host.cgroup.clone(),
        links: host.links.clone(),
        oom_score_adj: host.oom_score_adj,
        pid_mode: host.pid_mode.clone(),
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt.clone(),
        storage_opt: host.storage_opt.clone(),
        tmpfs: host.tmpfs.clone(),
        uts_mode: host.uts_mode.clone(),
        userns_mode: host.userns_mode.clone(),
        shm_size: host.shm_size,
        sysctls: host.sysctls.clone(),
        runtime: host.runtime.clone(),
        isolation: host.isolation.clone(),
        mounts: host.mounts.iter().map(mount::to_wire).collect(),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        init: host.init,
        resources: resources::to_wire(&host.resources),
    }
}

/// Host addresses of a port.
fn bindings(list: &[model::PortBinding]) -> Vec<wire::PortBinding> {
    let one = |one: &model::PortBinding| wire::PortBinding {
        host_ip: one.host_ip.clone(),
        host_port: one.host_port.clone(),
    };
    list.iter().map(one).collect()
}

/// All ports with their host addresses; exposed ones have none.
pub(super) fn port_map(ports: &BTreeMap<String, Option<Vec<model::PortBinding>>>) -> wire::PortMap {
    wire::PortMap(ports.iter().map(|(port, list)| (port.clone(), list.as_deref().map(bindings))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, count: i64) -> Result<RestartPolicy, String> {
        let policy = wire::RestartPolicy { name: name.into(), maximum_retry_count: count };
        restart_policy(&policy).map_err(|error| error.to_string())
    }

    #[test]
    fn restart_policies() {
        assert_eq!(policy("", 0), Ok(RestartPolicy::No));
        assert_eq!(policy("on-failure", 3), Ok(RestartPolicy::OnFailure(3)));
        assert!(policy("always", 3).unwrap_err().contains("can only be used with 'on-failure'"));
        assert!(policy("on-failure", -1).unwrap_err().contains("negative"));
        assert!(policy("sometimes", 0).unwrap_err().contains("unknown policy 'sometimes'"));
    }

    #[test]
    fn round_trip() {
        let json = r#"{"Binds":["/a:/b"],"Memory":4,"PortBindings":{"80/tcp":[{"HostPort":"8080"}]},
            "RestartPolicy":{"Name":"always"},"MaskedPaths":[],"Init":true,"Sysctls":{"a":"b"},
            "LogConfig":{"Type":"none","Config":null},"CapAdd":null,"Tmpfs":{"/t":"size=1m"}}"#;
        let host = from_wire(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(host.masked_paths, Some(vec![]));
        assert_eq!(from_wire(to_wire(&host)).unwrap(), host);
    }
}
