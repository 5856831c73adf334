//! The first process: arguments, environment, identity, limits.

use oci_spec::runtime::{
    BoxBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, UserBuilder,
};

use super::{Inputs, built, capabilities};
use crate::container::{Container, ContainerConfig, ExecConfig, Ulimit};
use crate::error::{Error, Result};

/// `PATH` of a container whose image says none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the init is bound inside.
pub(crate) const INIT_PATH: &str = "/sbin/docker-init";

/// Who a process is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one included, as Docker gives them (CVE-2022-36109).
    pub(crate) groups: Vec<u32>,
    /// Home directory.
    pub(crate) home: String,
}

pub(super) fn build(inputs: &Inputs<'_>) -> Result<Process> {
    let container = inputs.container;
    let (config, host) = (&container.config, &container.host);
    let mut args = Vec::with_capacity(container.args.len() + 3);
    if inputs.init.is_some() {
        args.extend([INIT_PATH.to_owned(), "--".to_owned()]);
    }
    args.push(container.path.clone());
    args.extend(container.args.iter().cloned());
    let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
    let names = capabilities::for_container(host.privileged, &host.cap_add, &host.cap_drop)?;
    let mut env = environment(config, inputs.hostname, &inputs.user.home, inputs.linked);
    replace_or_append(&mut env, &inputs.injected.env);
    super::system::environment(container, &mut env);
    let mut process = built(
        ProcessBuilder::default()
            // the console of a system container is a terminal, also where a client sees a plain stream
            .terminal(config.tty || container.system)
            .args(args)
            .env(env)
            .cwd(cwd)
            .user(user(inputs.user)?)
            .capabilities(capabilities::sets(&names, inputs.user.uid == 0)?)
            .rlimits(rlimits(&host.resources.ulimits, inputs.default_ulimits)?)
            .no_new_privileges(inputs.security.no_new_privileges)
            .build(),
    )?;
    let [height, width] = host.console_size;
    if config.tty && (height, width) != (0, 0) {
        let size = BoxBuilder::default().height(u64::from(height)).width(u64::from(width)).build();
        process.set_console_size(Some(built(size)?));
    }
    process.set_apparmor_profile(inputs.security.apparmor.clone());
    process.set_selinux_label(Some(inputs.labels.process.clone()).filter(|label| !label.is_empty()));
    // also when it is 0: the daemon's own is nothing that a container should inherit
    process.set_oom_score_adj(i32::try_from(host.oom_score_adj).ok());
    Ok(process)
}

/// What an exec session's process is made from.
pub(crate) struct ExecProcess<'a> {
    pub(crate) container: &'a Container,
    pub(crate) config: &'a ExecConfig,
    pub(crate) user: &'a Identity,
    /// The container's; a privileged session of a confined container stays confined, as in Docker.
    pub(crate) security: &'a crate::container::security::Options,
    pub(crate) labels: &'a crate::container::security::selinux::Labels,
    pub(crate) default_ulimits: &'a [Ulimit],
    /// Variables that tell of linked containers.
    pub(crate) linked: &'a [String],
}

/// An exec session's process: the container's rights, environment and limits, unless the session says otherwise.
///
/// # Errors
/// As for the container itself.
pub(crate) fn exec(inputs: &ExecProcess<'_>) -> Result<Process> {
    let (container, wanted) = (inputs.container, inputs.config);
    let (config, host) = (&container.config, &container.host);
    let mut env = environment(config, &config.hostname, &inputs.user.home, inputs.linked);
    let own_home = config.env.iter().any(|var| var.starts_with("HOME="));
    if wanted.tty && !env.iter().any(|var| var.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    if !own_home {
        env.retain(|var| !var.starts_with("HOME="));
        env.push(format!("HOME={}", if inputs.user.home.is_empty() { "/" } else { &inputs.user.home }));
    }
    replace_or_append(&mut env, &wanted.env);
    let names =
        capabilities::for_container(host.privileged || wanted.privileged, &host.cap_add, &host.cap_drop)?;
    let cwd = [&wanted.working_dir, &config.working_dir].into_iter().find(|path| !path.is_empty());
    let mut process = built(
        ProcessBuilder::default()
            .terminal(wanted.tty)
            .args(wanted.cmd.clone())
            .env(env)
            .cwd(cwd.map_or("/", String::as_str))
            .user(user(inputs.user)?)
            .capabilities(capabilities::sets(&names, inputs.user.uid == 0)?)
            .rlimits(rlimits(&host.resources.ulimits, inputs.default_ulimits)?)
            .no_new_privileges(inputs.security.no_new_privileges)
            .build(),
    )?;
    process.set_apparmor_profile(inputs.security.apparmor.clone());
    process.set_selinux_label(Some(inputs.labels.process.clone()).filter(|label| !label.is_empty()));
    // also when it is 0: the daemon's own is nothing that a container should inherit
    process.set_oom_score_adj(i32::try_from(host.oom_score_adj).ok());
    Ok(process)
}

/// A specification's user.
pub(crate) fn user(identity: &Identity) -> Result<oci_spec::runtime::User> {
    built(
        UserBuilder::default()
            .uid(identity.uid)
            .gid(identity.gid)
            .additional_gids(identity.groups.clone())
            .build(),
    )
}

/// Docker's own variables, overridden by the configuration's; `HOME` last, if nobody said it.
pub(crate) fn environment(
    config: &ContainerConfig,
    hostname: &str,
    home: &str,
    linked: &[String],
) -> Vec<String> {
    let mut env = vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={hostname}")];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend_from_slice(linked);
    replace_or_append(&mut env, &config.env);
    if !env.iter().any(|var| var.starts_with("HOME=")) {
        env.push(format!("HOME={}", if home.is_empty() { "/" } else { home }));
    }
    env
}

/// Puts variables over others of the same name, in place; a bare name removes.
pub(crate) fn replace_or_append(env: &mut Vec<String>, more: &[String]) {
    for var in more {
        let (name, keep) = match var.split_once('=') {
            Some((name, _)) => (name, true),
            None => (var.as_str(), false),
        };
        let place = env.iter().position(|have| have.split_once('=').is_some_and(|(have, _)| have == name));
        match (place, keep) {
            (Some(place), true) => env[place].clone_from(var),
            (Some(place), false) => drop(env.remove(place)),
            (None, true) => env.push(var.clone()),
            (None, false) => {}
        }
    }
}

fn rlimits(own: &[Ulimit], defaults: &[Ulimit]) -> Result<Vec<PosixRlimit>> {
    let missing = defaults.iter().filter(|limit| !own.iter().any(|mine| mine.name == limit.name));
    own.iter().chain(missing).map(rlimit).collect()
}

fn rlimit(limit: &Ulimit) -> Result<PosixRlimit> {
    let kind = rlimit_type(&limit.name)
        .ok_or_else(|| Error::bad_parameter(format!("invalid ulimit type: {}", limit.name)))?;
    // -1 is "no limit", which the kernel spells with all bits set
    let value = |number: i64| u64::try_from(number).unwrap_or(u64::MAX);
    built(PosixRlimitBuilder::default().typ(kind).soft(value(limit.soft)).hard(value(limit.hard)).build())
}

/// A resource limit by Docker's name, getrlimit(2).
pub(crate) fn rlimit_type(name: &str) -> Option<PosixRlimitType> {
    Some(match name {
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        "as" => PosixRlimitType::RlimitAs,
        _ => return None,
    })
}
