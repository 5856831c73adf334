//! System call policies: Docker's default, and profiles in Docker's JSON format.

mod data;
mod profile;

use std::collections::BTreeSet;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use runtime::seccomp::Machine;

use crate::error::{Error, Result};

/// Major and minor version of a kernel.
pub(crate) type Kernel = (u32, u32);

/// The version of the kernel that runs; its string begins with two numbers.
pub(crate) fn running_kernel() -> Kernel {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The machine that containers run on.
///
/// # Errors
/// This processor's system calls are not known.
pub(crate) fn machine() -> Result<Machine> {
    Machine::native().ok_or_else(|| Error::system(runtime::seccomp::Error::Machine.to_string()))
}

/// Docker's default policy for a container with these capabilities (`CAP_…`).
///
/// # Errors
/// None that a caller can cause: the data is checked by a test.
pub(crate) fn default_profile(
    capabilities: &BTreeSet<String>,
    machine: Machine,
    kernel: Kernel,
) -> Result<LinuxSeccomp> {
    let mut rules = vec![allow(&data::ALWAYS.join(" "), None)?];
    if kernel >= (4, 8) {
        rules.push(allow(data::SINCE_LINUX_4_8, None)?);
    }
    rules.push(match machine {
        Machine::X86_64 => allow(data::X86_64, None)?,
        Machine::Aarch64 => allow(data::AARCH64, None)?,
    });
    for (capability, names) in data::BY_CAPABILITY {
        if capabilities.contains(capability) {
            rules.push(allow(names, None)?);
        }
    }
    if !capabilities.contains(data::SYS_ADMIN) {
        let none = argument(data::CLONE_NAMESPACES, LinuxSeccompOperator::ScmpCmpMaskedEq)?;
        rules.push(allow("clone", Some(none))?);
        rules.push(no_such_call("clone3")?);
    }
    rules.push(allow("socket", Some(argument(data::FAMILIES_BELOW, LinuxSeccompOperator::ScmpCmpLt)?))?);
    for (name, values) in [("socket", &data::FAMILIES[..]), ("personality", &data::PERSONALITIES[..])] {
        for value in values {
            rules.push(allow(name, Some(argument(*value, LinuxSeccompOperator::ScmpCmpEq)?))?);
        }
    }
    let architectures = match machine {
        Machine::X86_64 => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        Machine::Aarch64 => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
    };
    let policy = LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(1_u32)
        .architectures(architectures)
        .syscalls(rules);
    policy.build().map_err(|err| Error::system(format!("default seccomp profile: {err}")))
}

/// A profile in Docker's format, as the policy of a container with these capabilities.
///
/// # Errors
/// The text is no profile, or contradicts itself.
pub(crate) fn load_profile(
    json: &str,
    capabilities: &BTreeSet<String>,
    machine: Machine,
    kernel: Kernel,
) -> Result<LinuxSeccomp> {
    profile::resolve(json, &profile::Situation { capabilities, machine, kernel })
        .map_err(|reason| Error::bad_parameter(format!("Decoding seccomp profile failed: {reason}")))
}

fn allow(names: &str, argument: Option<LinuxSeccompArg>) -> Result<LinuxSyscall> {
    let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
    let mut rule = LinuxSyscallBuilder::default().names(names).action(LinuxSeccompAction::ScmpActAllow);
    if let Some(argument) = argument {
        rule = rule.args(vec![argument]);
    }
    rule.build().map_err(|err| Error::system(format!("default seccomp profile: {err}")))
}

fn no_such_call(name: &str) -> Result<LinuxSyscall> {
    const ENOSYS: u32 = 38;
    let action = LinuxSeccompAction::ScmpActErrno;
    let rule = LinuxSyscallBuilder::default().names(vec![name.to_owned()]).action(action).errno_ret(ENOSYS);
    rule.build().map_err(|err| Error::system(format!("default seccomp profile: {err}")))
}

/// A condition on the first argument.
fn argument(value: u64, op: LinuxSeccompOperator) -> Result<LinuxSeccompArg> {
    let argument = LinuxSeccompArgBuilder::default().index(0_usize).value(value).op(op);
    argument.build().map_err(|err| Error::system(format!("default seccomp profile: {err}")))
}

#[cfg(test)]
mod tests;
