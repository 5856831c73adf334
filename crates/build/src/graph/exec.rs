//! A process that is run, and what is mounted for it.

use serde::Serialize;

/// A process. Its root is the mount whose target is `/`.
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, the last of a name counts.
    pub env: Vec<String>,
    /// More of it that says how the world is reached (`HTTP_PROXY=…`): no part of what the result depends on.
    pub proxy_env: Vec<String>,
    /// Working directory; made if it is missing.
    pub cwd: String,
    /// `user[:group]`, names or numbers, as an image's `User`; empty for root.
    pub user: String,
    /// The host's name in the process's eyes, empty for one that is made up.
    pub hostname: String,
    /// Where its packets go.
    pub network: NetworkMode,
    /// What it is let do.
    pub security: SecurityMode,
    /// More lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// Parent of its cgroup, empty for the daemon's default.
    pub cgroup_parent: String,
    /// Size of `/dev/shm` in bytes, `None` for 64 MiB.
    pub shm_size: Option<u64>,
    /// What it sees. In this order; a later one lies over an earlier one.
    pub mounts: Vec<Mount>,
    /// Secrets that are put into its environment.
    pub secret_env: Vec<SecretEnv>,
    /// Exit codes that count as success; empty for zero alone.
    pub valid_exit_codes: Vec<i32>,
}

/// Where a process's packets go (`NetMode`).
#[derive(Clone, Copy, Debug, Serialize, Default, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// The engine's default network, with an address of its own.
    #[default]
    Sandbox,
    /// The host's interfaces. The user must have allowed it.
    Host,
    /// Nothing but a loopback interface.
    None,
}

/// What a process is let do (`SecurityMode`).
#[derive(Clone, Copy, Debug, Serialize, Default, PartialEq, Eq, Hash)]
pub enum SecurityMode {
    /// As a container that is given nothing special.
    #[default]
    Sandbox,
    /// All capabilities and devices. The user must have allowed it.
    Insecure,
}

/// A line of `/etc/hosts`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct ExtraHost {
    /// Name.
    pub host: String,
    /// Address, or `host-gateway`.
    pub ip: String,
}

/// A limit as setrlimit(2) has it.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, small letters: `nofile`.
    pub name: String,
    /// Soft limit; -1 is none.
    pub soft: i64,
    /// Hard limit; -1 is none.
    pub hard: i64,
}

/// Something mounted for a process.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Mount {
    /// Where; absolute, or relative to the working directory.
    pub target: String,
    /// The vertex's input that it begins as, by its place; `None` for an empty tree.
    pub input: Option<usize>,
    /// Only this directory (or file) of the input; empty for all of it.
    pub selector: String,
    /// The process can't change it.
    pub readonly: bool,
    /// Its number among the vertex's outputs if what it ends as is a result.
    pub output: Option<u32>,
    /// What it is.
    pub kind: MountKind,
}

/// What a mount is.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub enum MountKind {
    /// The input's files. Changes that are no output are thrown away.
    Bind,
    /// A directory that stays for later builds. Its input is what it begins as.
    Cache(CacheMount),
    /// Memory; size in bytes, `None` for the kernel's default.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
    },
    /// A file that the client gives.
    Secret(SecretMount),
    /// A socket that leads to the client's ssh agent.
    Ssh(SshMount),
}

/// A directory that stays for later builds.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct CacheMount {
    /// Tells caches apart.
    pub id: String,
    /// What happens when two processes want it at once.
    pub sharing: Sharing,
    /// Mode of the directory when it is made; `None` for that of what it begins as.
    pub mode: Option<u32>,
    /// Its owner then.
    pub uid: Option<u32>,
    /// Its group then.
    pub gid: Option<u32>,
}

/// What happens when two processes want one cache at once.
#[derive(Clone, Copy, Debug, Serialize, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Both have it.
    #[default]
    Shared,
    /// The second gets another.
    Private,
    /// The second waits.
    Locked,
}

/// A file that the client gives and that no layer and no cache ever holds.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct SecretMount {
    /// What the client knows it by.
    pub id: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode.
    pub mode: u32,
    /// Without it nothing is run; otherwise the mount is left out.
    pub required: bool,
}

/// A secret in an environment variable.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct SecretEnv {
    /// What the client knows it by.
    pub id: String,
    /// The variable's name.
    pub name: String,
    /// Without it nothing is run; otherwise the variable is left out.
    pub required: bool,
}

/// A socket that leads to the client's ssh agent.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub struct SshMount {
    /// What the client knows it by, `default` mostly.
    pub id: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode.
    pub mode: u32,
    /// Without it nothing is run; otherwise the mount is left out.
    pub required: bool,
}

impl Exec {
    /// The mount that is the root.
    pub fn root(&self) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.target == "/")
    }

    pub(super) fn check(&self, inputs: usize) -> Result<(), String> {
        if self.args.is_empty() {
            return Err("nothing to run".into());
        }
        let Some(root) = self.root() else {
            return Err("no root file system is mounted".into());
        };
        if !matches!(root.kind, MountKind::Bind) {
            return Err("the root file system must be a bind mount".into());
        }
        if self.mounts.iter().filter(|mount| mount.target == "/").count() > 1 {
            return Err("invalid mount target \"/\": the root file system is there".into());
        }
        for mount in &self.mounts {
            match mount.input {
                Some(input) if input >= inputs => {
                    return Err(format!("mount {:?} uses input {input} of {inputs}", mount.target));
                }
                _ => {}
            }
            if mount.output.is_some() && !matches!(mount.kind, MountKind::Bind) {
                return Err(format!("mount {:?} can't be a result", mount.target));
            }
            if mount.target.is_empty() {
                return Err("a mount has no target".into());
            }
        }
        Ok(())
    }
}
