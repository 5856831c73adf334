//! Everything about one container.

use std::collections::BTreeMap;
use std::path::Path;

use api::Version;
use api::container as wire;
use engine::container::{Container, Health, Size, WaitResult};

use super::{config, graph_driver, host_config, legacy, mount, network, size, time};

/// Answer of inspect.
pub(crate) fn inspect(
    container: &Container,
    measured: Option<Size>,
    directories: BTreeMap<String, String>,
    version: Version,
) -> wire::InspectResponse {
    // These files are there from the first start on.
    let started = container.state.started_at().is_some();
    let made = |file: &Path| if started { path(file) } else { String::new() };
    let mut answer = wire::InspectResponse {
        id: container.id.clone(),
        created: time::rfc3339(Some(container.created)),
        path: container.path.clone(),
        args: container.args.clone(),
        state: state(container),
        image: container.image_id.clone(),
        resolv_conf_path: made(&container.resolv_conf_path),
        hostname_path: made(&container.hostname_path),
        hosts_path: made(&container.hosts_path),
        log_path: container.log_path.as_deref().map(made).unwrap_or_default(),
        name: format!("/{}", container.name),
        restart_count: i64::from(container.restart_count),
        driver: container.storage_driver.clone(),
        platform: container.os.clone(),
        exec_ids: Some(container.exec_ids.clone()).filter(|ids| !ids.is_empty()),
        host_config: wire::HostConfig {
            masked_paths: container.host.shown_masked_paths(),
            readonly_paths: container.host.shown_readonly_paths(),
            ..host_config::to_wire(&container.host)
        },
        graph_driver: Some(graph_driver(&container.storage_driver, directories)),
        size_rw: measured.map(|measured| size(measured.rw)),
        size_root_fs: measured.map(|measured| size(measured.root_fs)),
        mount_label: container.mount_label.clone(),
        process_label: container.shown_process_label().to_owned(),
        mounts: container.mounts.iter().map(mount::point).collect(),
        config: config::to_wire(&container.config),
        network_settings: network::settings(container),
        ..wire::InspectResponse::default()
    };
    legacy::inspect(&mut answer, version);
    answer
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn state(container: &Container) -> wire::State {
    let state = &container.state;
    wire::State {
        status: state.status().name().to_owned(),
        running: state.is_running(),
        paused: state.is_paused(),
        restarting: state.is_restarting(),
        oom_killed: state.oom_killed(),
        dead: matches!(state, engine::container::State::Dead(_)),
        pid: i64::from(state.pid()),
        exit_code: i64::from(state.exit_code()),
        error: state.error().to_owned(),
        started_at: time::rfc3339(state.started_at()),
        finished_at: time::rfc3339(state.finished_at()),
        health: container.health.as_ref().map(health),
    }
}

fn health(health: &Health) -> wire::Health {
    let probes = health.log.iter().map(|probe| wire::HealthResult {
        start: time::rfc3339(Some(probe.start)),
        end: time::rfc3339(Some(probe.end)),
        exit_code: i64::from(probe.exit_code),
        output: probe.output.clone(),
    });
    wire::Health {
        status: health.status.name().to_owned(),
        failing_streak: i64::from(health.failing_streak),
        log: probes.collect(),
    }
}

/// Answer of wait.
pub(crate) fn waited(result: WaitResult) -> wire::WaitResponse {
    wire::WaitResponse {
        status_code: i64::from(result.code),
        error: result.error.map(|message| wire::WaitError { message }),
    }
}
