//! Processes.

use build::graph::{
    CacheMount, Exec, ExtraHost, Mount, MountKind, NetworkMode, SecretEnv, SecretMount, SecurityMode,
    Sharing, SshMount, Ulimit,
};
use buildkit::proto::pb;

use super::{Result, number, place, refused};

pub(super) fn exec(op: &pb::ExecOp) -> Result<Exec> {
    let meta = op.meta.clone().unwrap_or_default();
    if !op.cdi_devices.is_empty() {
        return Err(refused(
            "CDI devices of a build's process are not supported by this version of Berth".into(),
        ));
    }
    let mounts = op.mounts.iter().map(|one| mount(one, &meta.cwd)).collect::<Result<_>>()?;
    Ok(Exec {
        args: meta.args,
        env: meta.env,
        proxy_env: meta.proxy_env.iter().flat_map(proxies).collect(),
        cwd: meta.cwd,
        user: meta.user,
        hostname: meta.hostname,
        network: match op.network() {
            pb::NetMode::Unset => NetworkMode::Sandbox,
            pb::NetMode::Host => NetworkMode::Host,
            pb::NetMode::None => NetworkMode::None,
        },
        security: match op.security() {
            pb::SecurityMode::Sandbox => SecurityMode::Sandbox,
            pb::SecurityMode::Insecure => SecurityMode::Insecure,
        },
        extra_hosts: meta
            .extra_hosts
            .into_iter()
            .map(|host| ExtraHost { host: host.host, ip: host.ip })
            .collect(),
        ulimits: meta
            .ulimit
            .into_iter()
            .map(|limit| Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
            .collect(),
        cgroup_parent: meta.cgroup_parent,
        shm_size: None,
        mounts,
        secret_env: op
            .secretenv
            .iter()
            .map(|env| SecretEnv { id: env.id.clone(), name: env.name.clone(), required: !env.optional })
            .collect(),
        valid_exit_codes: meta.valid_exit_codes,
    })
}

/// Proxies are for the process alone, in both spellings.
fn proxies(env: &pb::ProxyEnv) -> Vec<String> {
    let pairs = [
        ("HTTP_PROXY", &env.http_proxy),
        ("HTTPS_PROXY", &env.https_proxy),
        ("FTP_PROXY", &env.ftp_proxy),
        ("NO_PROXY", &env.no_proxy),
        ("ALL_PROXY", &env.all_proxy),
    ];
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    given
        .flat_map(|(name, value)| [format!("{name}={value}"), format!("{}={value}", name.to_lowercase())])
        .collect()
}

/// A path without `.`, `..` and needless slashes; `..` does not lead out of the tree.
fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

fn mount(mount: &pb::Mount, cwd: &str) -> Result<Mount> {
    let missing = |what: &str| refused(format!("the {what} mount at {:?} has no options", mount.dest));
    let kind = match mount.mount_type() {
        pb::MountType::Bind => MountKind::Bind,
        pb::MountType::Cache => {
            let cache = mount.cache_opt.as_ref().ok_or_else(|| missing("cache"))?;
            MountKind::Cache(CacheMount {
                id: cache.id.clone(),
                sharing: match cache.sharing() {
                    pb::CacheSharingOpt::Shared => Sharing::Shared,
                    pb::CacheSharingOpt::Private => Sharing::Private,
                    pb::CacheSharingOpt::Locked => Sharing::Locked,
                },
                // an LLB client says it by what the cache begins as
                mode: None,
                uid: None,
                gid: None,
            })
        }
        pb::MountType::Tmpfs => {
            let size = mount.tmpfs_opt.as_ref().and_then(|tmpfs| u64::try_from(tmpfs.size).ok());
            MountKind::Tmpfs { size: size.filter(|size| *size > 0) }
        }
        pb::MountType::Secret => {
            let secret = mount.secret_opt.as_ref().ok_or_else(|| missing("secret"))?;
            MountKind::Secret(SecretMount {
                id: secret.id.clone(),
                uid: secret.uid,
                gid: secret.gid,
                mode: secret.mode & 0o777,
                required: !secret.optional,
            })
        }
        pb::MountType::Ssh => {
            let ssh = mount.ssh_opt.as_ref().ok_or_else(|| missing("ssh"))?;
            MountKind::Ssh(SshMount {
                id: ssh.id.clone(),
                uid: ssh.uid,
                gid: ssh.gid,
                mode: ssh.mode & 0o777,
                required: !ssh.optional,
            })
        }
    };
    let bind = kind == MountKind::Bind;
    Ok(Mount {
        target: match mount.dest.as_str() {
            "" => String::new(),
            dest if dest.starts_with('/') => format!("/{}", clean(dest)),
            dest => format!("/{}", clean(&format!("{cwd}/{dest}"))),
        },
        input: place(mount.input)?,
        selector: clean(&mount.selector),
        readonly: mount.readonly,
        output: number(mount.output)?.filter(|_| bind),
        kind,
    })
}
