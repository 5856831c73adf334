//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to parsers and checks that nobody else outside of
//! this crate may call. None of them touches a file.

use std::collections::BTreeSet;

use oci_spec::runtime::LinuxSeccomp;
use runtime::seccomp::Machine;

use crate::container::CreateRequest;
use crate::container::check::{Host, check_limits, check_network, check_settings};
use crate::container::security::{self, Seccomp};
use crate::error::Result;
use crate::volume;

/// A profile in Docker's format as the policy of a container with these capabilities.
///
/// # Errors
/// The text is no profile, or contradicts itself.
pub fn seccomp(
    profile: &str,
    capabilities: &BTreeSet<String>,
    machine: Machine,
    kernel: (u32, u32),
) -> Result<LinuxSeccomp> {
    security::load_profile(profile, capabilities, machine, kernel)
}

/// The checks that a wish for a container passes before anything is looked up.
///
/// # Errors
/// Docker's sentence about the first thing that is wrong.
pub fn create(request: &mut CreateRequest) -> Result<Vec<String>> {
    let host = Host {
        cpus: 2,
        cgroups: true,
        last_gid: i32::MAX.unsigned_abs(),
        cpu_list: "0-1".to_owned(),
        memory_nodes: "0".to_owned(),
        cgroup_v2: false,
        swap: true,
        realtime: false,
        memory: true,
        pids: true,
        cpu: true,
        cpuset: true,
        io: true,
        blkio_weight: true,
        device_rules: true,
    };
    check_settings(&request.config, &request.host)?;
    let warnings = check_limits(&mut request.host.resources, &host, false)?;
    check_network(&request.config, &request.host, &request.networking)?;
    security::Options::parse(&request.host, false, &Seccomp::Default, security::AppArmor::ABSENT)?;
    Ok(warnings)
}

/// What the words behind the second colon of `-v` say: whether it is read-only, and the propagation.
#[must_use]
pub fn volume_mode(mode: &str) -> Option<(bool, String)> {
    volume::parse_mode(mode).map(|words| (words.read_only, words.propagation))
}

/// A path in a container, without `.`, `..` and doubled slashes.
///
/// # Errors
/// It is not absolute.
pub fn clean_path(path: &str) -> Result<String> {
    volume::clean_path(path)
}

/// The words of a mount for `--tmpfs PATH:options`.
///
/// # Errors
/// Docker's `invalid tmpfs option`.
pub fn tmpfs(options: &str) -> Result<Vec<String>> {
    volume::merge_tmpfs(options)
}
