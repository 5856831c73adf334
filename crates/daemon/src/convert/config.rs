//! `Config`, both ways.

use api::container as wire;
use api::{Empty, StringSet, Words};
use engine::container::{ContainerConfig, Healthcheck};
use std::collections::BTreeSet;

/// What a client sent.
pub(crate) fn from_wire(config: wire::Config) -> ContainerConfig {
    ContainerConfig {
        image: config.image,
        hostname: config.hostname,
        domainname: config.domainname,
        user: config.user,
        working_dir: config.working_dir,
        entrypoint: config.entrypoint.0,
        cmd: config.cmd.0,
        args_escaped: config.args_escaped,
        env: config.env,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        labels: config.labels,
        exposed_ports: config.exposed_ports.0,
        volumes: config.volumes.into_keys().collect(),
        healthcheck: config.healthcheck.map(health_from_wire),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: config.shell,
        on_build: config.on_build,
        network_disabled: config.network_disabled,
        mac_address: config.mac_address,
    }
}

/// What a client sees.
pub(super) fn to_wire(config: &ContainerConfig) -> wire::Config {
    wire::Config {
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        user: config.user.clone(),
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: wire::PortSet(config.exposed_ports.clone()),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env.clone(),
        cmd: Words(config.cmd.clone()),
        healthcheck: config.healthcheck.as_ref().map(health_to_wire),
        args_escaped: config.args_escaped,
        image: config.image.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        entrypoint: Words(config.entrypoint.clone()),
        network_disabled: config.network_disabled,
        mac_address: config.mac_address.clone(),
        on_build: config.on_build.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone(),
    }
}

fn set(words: &BTreeSet<String>) -> StringSet {
    words.iter().map(|word| (word.clone(), Empty)).collect()
}

fn health_from_wire(check: wire::HealthConfig) -> Healthcheck {
    let wire::HealthConfig { test, interval, timeout, start_period, start_interval, retries } = check;
    Healthcheck { test, interval, timeout, retries, start_period, start_interval }
}

fn health_to_wire(check: &Healthcheck) -> wire::HealthConfig {
    wire::HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_keeps_what_null_and_empty_mean() {
        let json = r#"{"Image":"a","Entrypoint":[],"Cmd":null,"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"]}}"#;
        let config = from_wire(serde_json::from_str(json).unwrap());
        assert_eq!((config.entrypoint.clone(), config.cmd.clone()), (Some(vec![]), None));
        assert_eq!(from_wire(to_wire(&config)), config);
    }
}
