//! What a build gives all of its steps beside what each asks for.

use crate::container::Resources;

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
