//! What a build gives all of its steps beside what each asks for.

use crate::container::check::{check_limits, check_settings};
use crate::container::{ContainerConfig, HostConfig, Resources, Ulimit};
use crate::engine::Inner;
use crate::error::Result;

/// Of the request, and the daemon's defaults.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// The network of steps that ask for none: `bridge`, `none`, `host`, `container:NAME` or a network.
    pub(super) network: String,
    /// Limits.
    pub(super) resources: Resources,
    /// `--isolation`, `--security-opt`.
    pub(super) security_opt: Vec<String>,
    /// Steps may have the host's network.
    pub(super) allow_host_network: bool,
    /// Steps may have all rights.
    pub(super) allow_insecure: bool,
}

impl Settings {
    /// Whether steps can have all that is asked for, before the first begins. What the machine has no means for and
    /// may be left out is left out, as for containers.
    ///
    /// # Errors
    /// Docker's sentence about the first setting that is wrong.
    pub(super) fn checked(
        mut self,
        engine: &Inner,
        ulimits: &[::build::graph::Ulimit],
        shm_size: Option<u64>,
    ) -> Result<Self> {
        let mut host = HostConfig {
            resources: self.resources.clone(),
            security_opt: self.security_opt.clone(),
            shm_size: shm_size.and_then(|size| i64::try_from(size).ok()).unwrap_or(0),
            ..HostConfig::default()
        };
        host.resources.ulimits.extend(ulimits.iter().map(ulimit));
        check(engine, &mut host)?;
        let own = std::mem::take(&mut self.resources.ulimits);
        self.resources = Resources { ulimits: own, ..host.resources };
        Ok(self)
    }
}

/// A limit as a container has it.
pub(super) fn ulimit(limit: &::build::graph::Ulimit) -> Ulimit {
    Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard }
}

/// Whether a step's container is possible.
///
/// # Errors
/// As [`Settings::checked`].
pub(super) fn check(engine: &Inner, host: &mut HostConfig) -> Result<()> {
    check_settings(&ContainerConfig::default(), host)?;
    for warning in check_limits(&mut host.resources, &engine.host, false)? {
        tracing::warn!(%warning, "a limit of a build's steps");
    }
    engine.security(host).map(drop)
}
