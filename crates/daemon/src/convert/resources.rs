//! Limits, both ways.

use api::container as wire;
use engine::container as model;

use crate::error::{ApiError, Result};

/// What a client sent.
pub(super) fn from_wire(resources: wire::Resources) -> Result<model::Resources> {
    refuse_foreign(&resources)?;
    let rates = |list: Vec<wire::ThrottleDevice>| {
        list.into_iter().map(|one| model::ThrottleDevice { path: one.path, rate: one.rate }).collect()
    };
    Ok(model::Resources {
        cpu_shares: resources.cpu_shares,
        memory: resources.memory,
        memory_reservation: resources.memory_reservation,
        memory_swap: resources.memory_swap,
        // -1 is how clients say that they wish nothing.
        memory_swappiness: resources.memory_swappiness.filter(|value| *value != -1),
        kernel_memory: resources.kernel_memory.unwrap_or(0),
        kernel_memory_tcp: resources.kernel_memory_tcp.unwrap_or(0),
        nano_cpus: resources.nano_cpus,
        cpu_period: resources.cpu_period,
        cpu_quota: resources.cpu_quota,
        cpu_realtime_period: resources.cpu_realtime_period,
        cpu_realtime_runtime: resources.cpu_realtime_runtime,
        cpuset_cpus: resources.cpuset_cpus,
        cpuset_mems: resources.cpuset_mems,
        cgroup_parent: resources.cgroup_parent,
        blkio_weight: resources.blkio_weight,
        blkio_weight_device: resources
            .blkio_weight_device
            .into_iter()
            .map(|one| model::WeightDevice { path: one.path, weight: one.weight })
            .collect(),
        blkio_device_read_bps: rates(resources.blkio_device_read_bps),
        blkio_device_write_bps: rates(resources.blkio_device_write_bps),
        blkio_device_read_iops: rates(resources.blkio_device_read_iops),
        blkio_device_write_iops: rates(resources.blkio_device_write_iops),
        devices: resources.devices.into_iter().map(device_from_wire).collect(),
        device_cgroup_rules: resources.device_cgroup_rules,
        device_requests: resources.device_requests.into_iter().map(request_from_wire).collect(),
        oom_kill_disable: resources.oom_kill_disable,
        pids_limit: resources.pids_limit,
        ulimits: resources
            .ulimits
            .into_iter()
            .map(|one| model::Ulimit { name: one.name, soft: one.soft, hard: one.hard })
            .collect(),
    })
}

/// Limits of another operating system.
fn refuse_foreign(resources: &wire::Resources) -> Result<()> {
    let foreign = [
        ("CpuCount", resources.cpu_count != 0),
        ("CpuPercent", resources.cpu_percent != 0),
        ("IOMaximumIOps", resources.io_maximum_iops != 0),
        ("IOMaximumBandwidth", resources.io_maximum_bandwidth != 0),
    ];
    match foreign.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            Err(ApiError::bad_request(format!("invalid option: {name} is only supported on Windows")))
        }
        None => Ok(()),
    }
}

/// What a client sees.
pub(super) fn to_wire(resources: &model::Resources) -> wire::Resources {
    let rates = |list: &[model::ThrottleDevice]| {
        list.iter().map(|one| wire::ThrottleDevice { path: one.path.clone(), rate: one.rate }).collect()
    };
    wire::Resources {
        cpu_shares: resources.cpu_shares,
        memory: resources.memory,
        nano_cpus: resources.nano_cpus,
        cgroup_parent: resources.cgroup_parent.clone(),
        blkio_weight: resources.blkio_weight,
        blkio_weight_device: resources
            .blkio_weight_device
            .iter()
            .map(|one| wire::WeightDevice { path: one.path.clone(), weight: one.weight })
            .collect(),
        blkio_device_read_bps: rates(&resources.blkio_device_read_bps),
        blkio_device_write_bps: rates(&resources.blkio_device_write_bps),
        blkio_device_read_iops: rates(&resources.blkio_device_read_iops),
        blkio_device_write_iops: rates(&resources.blkio_device_write_iops),
        cpu_period: resources.cpu_period,
        cpu_quota: resources.cpu_quota,
        cpu_realtime_period: resources.cpu_realtime_period,
        cpu_realtime_runtime: resources.cpu_realtime_runtime,
        cpuset_cpus: resources.cpuset_cpus.clone(),
        cpuset_mems: resources.cpuset_mems.clone(),
        devices: resources.devices.iter().map(device_to_wire).collect(),
        device_cgroup_rules: resources.device_cgroup_rules.clone(),
        device_requests: resources.device_requests.iter().map(request_to_wire).collect(),
        kernel_memory: Some(resources.kernel_memory).filter(|bytes| *bytes != 0),
        kernel_memory_tcp: Some(resources.kernel_memory_tcp).filter(|bytes| *bytes != 0),
        memory_reservation: resources.memory_reservation,
        memory_swap: resources.memory_swap,
        memory_swappiness: resources.memory_swappiness,
        oom_kill_disable: resources.oom_kill_disable,
        pids_limit: resources.pids_limit,
        ulimits: resources
            .ulimits
            .iter()
            .map(|one| wire::Ulimit { name: one.name.clone(), hard: one.hard, soft: one.soft })
            .collect(),
        ..wire::Resources::default()
    }
}

fn device_from_wire(device: wire::DeviceMapping) -> model::DeviceMapping {
    let wire::DeviceMapping { path_on_host, path_in_container, cgroup_permissions } = device;
    model::DeviceMapping { path_on_host, path_in_container, cgroup_permissions }
}

fn device_to_wire(device: &model::DeviceMapping) -> wire::DeviceMapping {
    wire::DeviceMapping {
        path_on_host: device.path_on_host.clone(),
        path_in_container: device.path_in_container.clone(),
        cgroup_permissions: device.cgroup_permissions.clone(),
    }
}

fn request_from_wire(request: wire::DeviceRequest) -> model::DeviceRequest {
    model::DeviceRequest {
        driver: request.driver,
        count: request.count,
        device_ids: request.device_ids,
        capabilities: request.capabilities,
    }
}

fn request_to_wire(request: &model::DeviceRequest) -> wire::DeviceRequest {
    wire::DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: request.device_ids.clone(),
        capabilities: request.capabilities.clone(),
        options: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let json = r#"{"Memory":1048576,"NanoCpus":500000000,"PidsLimit":7,"CpusetCpus":"0-1","BlkioWeight":300,
            "BlkioDeviceReadIOps":[{"Path":"/dev/sda","Rate":9}],"MemorySwappiness":-1,
            "Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],
            "Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/x","CgroupPermissions":"r"}]}"#;
        let resources = from_wire(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(resources.memory_swappiness, None);
        assert_eq!(resources.ulimits[0].hard, 2);
        assert_eq!(from_wire(to_wire(&resources)).unwrap(), resources);
    }

    #[test]
    fn limits_of_windows_are_refused_by_name() {
        let resources = serde_json::from_str(r#"{"CpuPercent": 50}"#).unwrap();
        assert!(from_wire(resources).unwrap_err().to_string().contains("CpuPercent"));
    }
}
