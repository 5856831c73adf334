//! Profiles in Docker's JSON format: the specification's policy with names of architectures, and rules that
//! depend on capabilities, architecture and kernel.

use std::collections::BTreeSet;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompBuilder, LinuxSeccompFilterFlag,
    LinuxSyscall, LinuxSyscallBuilder,
};
use runtime::seccomp::Machine;
use serde::Deserialize;

use super::Kernel;

/// Longest profile that is read, in bytes.
const PROFILE_MAX: usize = 1 << 20;

/// What a profile's conditions are about.
pub(super) struct Situation<'a> {
    pub(super) capabilities: &'a BTreeSet<String>,
    pub(super) machine: Machine,
    pub(super) kernel: Kernel,
}

/// Docker's format; what it has beside the specification's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchEntry>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<std::path::PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchEntry {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The policy that `json` gives in this situation.
pub(super) fn resolve(json: &str, situation: &Situation<'_>) -> Result<LinuxSeccomp, String> {
    if json.len() > PROFILE_MAX {
        return Err(format!("it is longer than {PROFILE_MAX} bytes"));
    }
    let profile: Profile = serde_json::from_str(json).map_err(|err| err.to_string())?;
    let mut rules = Vec::new();
    for rule in profile.syscalls.unwrap_or_default() {
        if rule.applies(situation)? {
            rules.push(rule.convert()?);
        }
    }
    let mut policy = LinuxSeccompBuilder::default().default_action(profile.default_action).syscalls(rules);
    if let Some(archs) = architectures(profile.architectures, profile.arch_map, situation.machine)? {
        policy = policy.architectures(archs);
    }
    if let Some(errno) = profile.default_errno_ret {
        policy = policy.default_errno_ret(errno);
    }
    if let Some(flags) = profile.flags {
        policy = policy.flags(flags);
    }
    if let Some(path) = profile.listener_path.filter(|path| !path.as_os_str().is_empty()) {
        policy = policy.listener_path(path);
    }
    if let Some(metadata) = profile.listener_metadata {
        policy = policy.listener_metadata(metadata);
    }
    policy.build().map_err(|err| err.to_string())
}

/// The list as it is, or the map's entry for this machine with its sub-architectures.
fn architectures(
    list: Option<Vec<Arch>>,
    map: Option<Vec<ArchEntry>>,
    machine: Machine,
) -> Result<Option<Vec<Arch>>, String> {
    let (list, map) = (list.unwrap_or_default(), map.unwrap_or_default());
    if !list.is_empty() && !map.is_empty() {
        return Err("use either 'architectures' or 'archMap'".to_owned());
    }
    let native = match machine {
        Machine::X86_64 => Arch::ScmpArchX86_64,
        Machine::Aarch64 => Arch::ScmpArchAarch64,
    };
    let entry = map.into_iter().find(|entry| entry.architecture == native);
    let of_map =
        entry.map(|entry| [native].into_iter().chain(entry.sub_architectures.unwrap_or_default()).collect());
    Ok(of_map.or((!list.is_empty()).then_some(list)))
}

impl Rule {
    fn applies(&self, situation: &Situation<'_>) -> Result<bool, String> {
        Ok(self.includes.all_hold(situation)? && !self.excludes.any_holds(situation)?)
    }

    fn convert(self) -> Result<LinuxSyscall, String> {
        let names = match (self.name.filter(|name| !name.is_empty()), self.names.unwrap_or_default()) {
            (Some(_), names) if !names.is_empty() => {
                return Err(
                    "both 'name' and 'names' are specified in the seccomp profile, use either one".to_owned()
                );
            }
            (Some(name), _) => vec![name],
            (None, names) => names,
        };
        let mut rule = LinuxSyscallBuilder::default().names(names).action(self.action);
        if let Some(errno) = self.errno_ret {
            rule = rule.errno_ret(errno);
        }
        if let Some(args) = self.args.filter(|args| !args.is_empty()) {
            rule = rule.args(args);
        }
        rule.build().map_err(|err| err.to_string())
    }
}

impl Condition {
    /// What must hold for a rule to be in: the architecture is among those named, each capability is there, and
    /// the kernel is new enough.
    fn all_hold(&self, situation: &Situation<'_>) -> Result<bool, String> {
        let arches = self.arches.as_deref().unwrap_or_default();
        let caps = self.caps.as_deref().unwrap_or_default();
        Ok((arches.is_empty() || names_machine(arches, situation.machine))
            && caps.iter().all(|cap| situation.capabilities.contains(cap))
            && self.kernel()?.is_none_or(|least| situation.kernel >= least))
    }

    /// What takes a rule out: any one of them.
    fn any_holds(&self, situation: &Situation<'_>) -> Result<bool, String> {
        let caps = self.caps.as_deref().unwrap_or_default();
        Ok(names_machine(self.arches.as_deref().unwrap_or_default(), situation.machine)
            || caps.iter().any(|cap| situation.capabilities.contains(cap))
            || self.kernel()?.is_some_and(|least| situation.kernel >= least))
    }

    fn kernel(&self) -> Result<Option<Kernel>, String> {
        let Some(text) = self.min_kernel.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let wrong = || format!("minKernel {text:?} must be a version like 4.8");
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok(Some((major, minor))),
            _ => Err(wrong()),
        }
    }
}

/// Docker names architectures as Go does.
fn names_machine(arches: &[String], machine: Machine) -> bool {
    let name = match machine {
        Machine::X86_64 => "amd64",
        Machine::Aarch64 => "arm64",
    };
    arches.iter().any(|arch| arch == name)
}
