//! What is to be built, and what is told of it.

use std::collections::BTreeMap;

use crate::container::Resources;
use crate::image::Progress;
use crate::registry::Credentials;

/// What `POST /build` asks for.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// Names for the image.
    pub tags: Vec<String>,
    /// The context's URL, which is fetched instead of read from the request; empty = none.
    pub remote: String,
    /// The Dockerfile's path in the context; empty = `Dockerfile`.
    pub dockerfile: String,
    /// `--build-arg`; those without a value are left out.
    pub build_args: BTreeMap<String, String>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--target`
    pub target: String,
    /// `os[/arch[/variant]]`; empty = the host's.
    pub platform: String,
    /// Run everything, whatever the cache knows.
    pub no_cache: bool,
    /// Ask the registry for newer base images.
    pub pull: bool,
    /// Images whose histories tell what need not be done again, if they are here.
    pub cache_from: Vec<String>,
    /// One layer instead of those that the build has made.
    pub squash: bool,
    /// Say nothing but the id.
    pub quiet: bool,
    /// The network of steps; empty = the default bridge.
    pub network: String,
    /// `name:address` lines.
    pub extra_hosts: Vec<String>,
    /// Bytes of `/dev/shm`; 0 = 64 MiB.
    pub shm_size: i64,
    /// Limits of steps.
    pub resources: Resources,
    /// `--security-opt`
    pub security_opt: Vec<String>,
    /// Who the client is, by registries' names.
    pub credentials: BTreeMap<String, Credentials>,
}

/// A piece of news of a build.
#[derive(Debug, Clone, PartialEq)]
pub enum BuildNews {
    /// Text as it stands.
    Text(String),
    /// How a base image's pull goes.
    Pull(Progress),
    /// The image's id, for programs.
    Built(String),
    /// It went wrong; the last piece.
    Failed {
        /// A process's exit code, or 0.
        code: i32,
        /// Why.
        message: String,
    },
}
