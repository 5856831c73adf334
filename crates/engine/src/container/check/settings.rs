//! Everything about a description that is neither a limit nor a network.

use super::limits::check_host_numbers;
use crate::container::mode::{self, NamespaceMode};
use crate::container::{ContainerConfig, HostConfig, RestartPolicy};
use crate::error::{Error, Result};

fn bad<T>(sentence: impl Into<String>) -> Result<T> {
    Err(Error::bad_parameter(sentence))
}

/// Checks a description.
///
/// # Errors
/// Docker's sentence about the first setting that is wrong.
pub(crate) fn check_settings(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    process(config)?;
    check_host_numbers(host)?;
    lifecycle(config, host)?;
    namespaces(config, host)?;
    sysctls(host)?;
    refused(host)
}

fn process(config: &ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return bad(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        ));
    }
    if let Some(wrong) = config.env.iter().find(|var| var.is_empty() || var.starts_with('=')) {
        return bad(format!("invalid environment variable: {wrong}"));
    }
    if config.hostname.len() > 64 || config.hostname.contains(['\0', '/', '\n']) {
        return bad(format!("invalid hostname: {}", config.hostname));
    }
    let texts =
        config.env.iter().chain(config.cmd.iter().flatten()).chain(config.entrypoint.iter().flatten());
    if texts.into_iter().any(|text| text.contains('\0')) {
        return bad("invalid command or environment: it contains a NUL byte");
    }
    Ok(())
}

fn lifecycle(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    if !config.stop_signal.is_empty() {
        crate::container::signal::parse(&config.stop_signal)?;
    }
    if host.auto_remove && host.restart_policy != RestartPolicy::No {
        return bad("can't create 'AutoRemove' container with restart policy");
    }
    if let Some(check) = &config.healthcheck {
        healthcheck(check)?;
    }
    Ok(())
}

fn healthcheck(check: &crate::container::Healthcheck) -> Result<()> {
    let word = |name: &str, value: i64| match value {
        0 | 1_000_000.. => Ok(()),
        _ => bad(format!("{name} in Healthcheck cannot be less than 1ms")),
    };
    word("Interval", check.interval)?;
    word("Timeout", check.timeout)?;
    word("StartPeriod", check.start_period)?;
    word("StartInterval", check.start_interval)?;
    if check.retries < 0 {
        return bad("Retries in Healthcheck cannot be negative");
    }
    match check.test.first().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        Some(other) => bad(format!("Unknown type of health check: {other}")),
    }
}

fn namespaces(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    mode::parse_pid(&host.pid_mode)?;
    mode::parse_ipc(&host.ipc_mode, "")?;
    crate::userns::parse(&host.userns_mode)?;
    mode::parse_cgroupns(&host.cgroupns_mode, "", false)?;
    let uts = mode::parse_host_only("UTS", &host.uts_mode)?;
    if uts == NamespaceMode::Host && !config.hostname.is_empty() {
        return bad("conflicting options: hostname and the UTS mode");
    }
    if uts == NamespaceMode::Host && !config.domainname.is_empty() {
        return bad("conflicting options: domainname and the UTS mode");
    }
    Ok(())
}

/// A sysctl must belong to a namespace that is the container's own.
fn sysctls(host: &HostConfig) -> Result<()> {
    for name in host.sysctls.keys() {
        if name.contains('\0') || name.contains("..") {
            return bad(format!("invalid sysctl: {name}"));
        }
        let name = name.replace('/', ".");
        if name.starts_with("net.") {
            if host.network_mode == "host" {
                return bad(format!("sysctl \"{name}\" not allowed in host network namespace"));
            }
        } else if sys::process::is_ipc_parameter(&name) {
            if host.ipc_mode == "host" {
                return bad(format!("sysctl \"{name}\" not allowed in host ipc namespace"));
            }
        } else if name == "kernel.domainname" || name == "kernel.hostname" {
            if host.uts_mode == "host" {
                return bad(format!("sysctl \"{name}\" not allowed in host uts namespace"));
            }
        } else {
            return bad(format!("sysctl \"{name}\" is not in a separate kernel namespace"));
        }
    }
    Ok(())
}

/// What Berth can't do yet or never will: said, not swallowed.
fn refused(host: &HostConfig) -> Result<()> {
    if !host.isolation.is_empty() && host.isolation != "default" {
        return bad(format!("invalid isolation '{}' on linux", host.isolation));
    }
    if !host.cgroup.is_empty() {
        return bad(format!("Cgroup '{}' is not supported: use CgroupParent or CgroupnsMode", host.cgroup));
    }
    if let Some(name) = host.storage_opt.keys().next() {
        return bad(format!("--storage-opt {name} is not supported by this storage driver"));
    }
    if !host.volume_driver.is_empty() && host.volume_driver != "local" {
        return Err(Error::not_found(format!(
            "error looking up volume plugin {0}: plugin \"{0}\" not found",
            host.volume_driver
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_stay_in_their_namespaces() {
        let with = |name: &str, network: &str| HostConfig {
            sysctls: [(name.to_owned(), "1".to_owned())].into(),
            network_mode: network.to_owned(),
            ..HostConfig::default()
        };
        assert!(sysctls(&with("net.ipv4.ip_forward", "bridge")).is_ok());
        assert!(sysctls(&with("net.ipv4.ip_forward", "host")).is_err());
        assert!(sysctls(&with("kernel.core_pattern", "")).is_err());
    }

    #[test]
    fn the_legacy_cgroup_field_is_refused() {
        let host = HostConfig { cgroup: "container:x".to_owned(), ..HostConfig::default() };
        assert!(refused(&host).unwrap_err().to_string().contains("Cgroup 'container:x'"));
    }

    #[test]
    fn auto_remove_excludes_restarts() {
        let host =
            HostConfig { auto_remove: true, restart_policy: RestartPolicy::Always, ..HostConfig::default() };
        assert!(check_settings(&ContainerConfig::default(), &host).is_err());
    }
}
