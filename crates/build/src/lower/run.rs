//! `RUN`.

use dockerfile::ast::{self, MountError, MountKind, Network, Run, Script, Security};

use super::stage::{Effect, State, Whole};
use super::{Flavor, stage};
use crate::graph::{
    self, Action, CacheMount, Exec, FileAction, FileOp, MakeFile, Mount, NetworkMode, Op, Output, SecretEnv,
    SecretMount, SecurityMode, Sharing, SshMount, Vertex,
};
use crate::{Result, files};

/// Where here-documents that name their interpreter are while they run.
const PIPES: &str = "/dev/pipes";

/// The build argument whose value tells this build's cache mounts from those of others.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// Mounts, and the vertex's inputs that they use.
#[derive(Default)]
struct Mounts {
    inputs: Vec<Output>,
    mounts: Vec<Mount>,
    secret_env: Vec<SecretEnv>,
}

impl Mounts {
    fn input(&mut self, output: Option<Output>) -> Option<usize> {
        let output = output?;
        let known = self.inputs.iter().position(|known| *known == output);
        Some(known.unwrap_or_else(|| {
            self.inputs.push(output);
            self.inputs.len() - 1
        }))
    }

    fn add(&mut self, state: &State<'_>, mount: Mount) -> Result<()> {
        if mount.target == "/" {
            return Err(state.wrong("invalid mount target \"/\": it is the root file system"));
        }
        self.mounts.push(mount);
        Ok(())
    }
}

impl Whole<'_> {
    pub(super) fn run(&mut self, state: &mut State<'_>, run: &Run, original: &str) -> Result<Effect> {
        let mut mounts = Mounts::default();
        let input = mounts.input(state.output);
        mounts.mounts.push(Mount {
            target: "/".into(),
            input,
            selector: String::new(),
            readonly: false,
            output: Some(0),
            kind: graph::MountKind::Bind,
        });
        let args = self.command(state, run, &mut mounts)?;
        for spec in &run.mounts {
            let expand = &mut |text: &str| {
                state.text(text).map_err(|error| MountError { message: error.to_string(), hint: None })
            };
            let mount = spec.resolve(expand).map_err(|error| {
                let hint = error.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
                state.wrong(format!("{}{hint}", error.message))
            })?;
            self.mount(state, mount, &mut mounts)?;
        }
        let created_by = created_by(state, run, &args, original);
        let options = self.options;
        let exec = Exec {
            args,
            env: state.environment(),
            proxy_env: state.proxies(),
            cwd: if state.config.working_dir.is_empty() {
                "/".into()
            } else {
                state.config.working_dir.clone()
            },
            user: state.config.user.clone(),
            hostname: options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME").cloned().unwrap_or_default(),
            network: match run.network {
                Network::Default => NetworkMode::Sandbox,
                Network::None => NetworkMode::None,
                Network::Host => NetworkMode::Host,
            },
            security: match run.security {
                Security::Sandbox => SecurityMode::Sandbox,
                Security::Insecure => SecurityMode::Insecure,
            },
            extra_hosts: options.extra_hosts.clone(),
            ulimits: options.ulimits.clone(),
            cgroup_parent: options.cgroup_parent.clone(),
            shm_size: options.shm_size,
            mounts: mounts.mounts,
            secret_env: mounts.secret_env,
            valid_exit_codes: Vec::new(),
        };
        let name = state.title(original);
        let vertex = self.add_vertex(state, Op::Exec(Box::new(exec)), mounts.inputs, name)?;
        Ok(Effect { created_by: Some(created_by), vertex: Some(vertex) })
    }

    /// The words to run; a here-document that names its interpreter becomes a file that is mounted.
    fn command(&mut self, state: &State<'_>, run: &Run, mounts: &mut Mounts) -> Result<Vec<String>> {
        let mut shell = state.shell();
        Ok(match run.script() {
            Script::Exec(words) => words,
            Script::Shell(text) => {
                if !text.is_empty() {
                    shell.push(text);
                }
                shell
            }
            Script::File { name, content } => {
                let make = MakeFile {
                    path: format!("/{name}"),
                    mode: 0o755,
                    data: content.into_bytes(),
                    owner: None,
                    timestamp: Some(0),
                };
                let action = FileAction {
                    input: None,
                    secondary: None,
                    output: Some(0),
                    action: Action::MakeFile(make),
                };
                let vertex = Vertex {
                    op: Op::File(FileOp { actions: vec![action] }),
                    inputs: Vec::new(),
                    name: "preparing inline document".into(),
                    progress_group: None,
                    platform: None,
                    no_cache: false,
                };
                let vertex = self.graph.add(vertex).map_err(stage::graph)?;
                let target = format!("{PIPES}/{name}");
                let input = mounts.input(Some(Output { vertex, index: 0 }));
                mounts.mounts.push(Mount {
                    target: PIPES.into(),
                    input,
                    selector: String::new(),
                    readonly: true,
                    output: None,
                    kind: graph::MountKind::Bind,
                });
                vec![target]
            }
        })
    }

    fn mount(&mut self, state: &State<'_>, mount: ast::Mount, mounts: &mut Mounts) -> Result<()> {
        let mut bare = Mount {
            target: state.absolute(&mount.target),
            input: None,
            selector: String::new(),
            readonly: mount.read_only,
            output: None,
            kind: graph::MountKind::Bind,
        };
        match &mount.kind {
            MountKind::Bind { from, source } => {
                bare.selector = selector(source);
                bare.input = mounts.input(self.from(state, from.as_deref())?);
            }
            MountKind::Cache { id, sharing, from, source, owner } => {
                bare.selector = selector(source);
                if let Some(from) = from {
                    bare.input = mounts.input(self.from(state, Some(from))?);
                }
                let space = self.options.build_args.get(CACHE_NAMESPACE).map_or("", String::as_str);
                bare.kind = graph::MountKind::Cache(CacheMount {
                    id: format!("{space}/{}", id.as_ref().unwrap_or(&mount.target)),
                    sharing: match sharing {
                        ast::Sharing::Shared => Sharing::Shared,
                        ast::Sharing::Private => Sharing::Private,
                        ast::Sharing::Locked => Sharing::Locked,
                    },
                    mode: owner.mode,
                    uid: owner.uid,
                    gid: owner.gid,
                });
            }
            MountKind::Tmpfs { size } => bare.kind = graph::MountKind::Tmpfs { size: *size },
            MountKind::Secret { .. } | MountKind::Ssh { .. } => {
                return client(state, &mount, mounts);
            }
        }
        mounts.add(state, bare)
    }
}

/// What of a tree is mounted; `..` does not lead out of it.
fn selector(source: &str) -> String {
    files::clean(source).to_string_lossy().into_owned()
}

/// A file or a socket that only the client has.
fn client(state: &State<'_>, mount: &ast::Mount, mounts: &mut Mounts) -> Result<()> {
    let place = |default: String| {
        let target = if mount.target.is_empty() { default } else { mount.target.clone() };
        state.absolute(&target)
    };
    let (target, kind) = match &mount.kind {
        MountKind::Secret { id, env, required, owner } => {
            let base = mount.target.rsplit('/').next().unwrap_or_default().to_owned();
            let (id, required) = (id.clone().unwrap_or(base), *required);
            if let Some(name) = env {
                mounts.secret_env.push(SecretEnv { id: id.clone(), name: name.clone(), required });
                if mount.target.is_empty() {
                    return Ok(());
                }
            }
            let (uid, gid) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
            let target = place(format!("/run/secrets/{}", id.rsplit('/').next().unwrap_or_default()));
            let mode = owner.mode.unwrap_or(0o400);
            (target, graph::MountKind::Secret(SecretMount { id, uid, gid, mode, required }))
        }
        MountKind::Ssh { id, required, owner } => {
            let is_ssh = |one: &&Mount| matches!(one.kind, graph::MountKind::Ssh(_));
            let number = mounts.mounts.iter().filter(is_ssh).count();
            let (uid, gid) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
            let id = id.clone().unwrap_or_else(|| "default".into());
            let mode = owner.mode.unwrap_or(0o600);
            let kind = graph::MountKind::Ssh(SshMount { id, uid, gid, mode, required: *required });
            (place(format!("/run/buildkit/ssh_agent.{number}")), kind)
        }
        _ => return Ok(()),
    };
    let mount =
        Mount { target, input: None, selector: String::new(), readonly: mount.read_only, output: None, kind };
    mounts.add(state, mount)
}

/// What the history says of it: with the arguments that the command saw.
fn created_by(state: &State<'_>, run: &Run, args: &[String], original: &str) -> String {
    let seen = state.args.visible(&state.config.env);
    let words = match run.script() {
        Script::File { .. } => original.to_owned(),
        _ => args.join(" "),
    };
    let prefix = if seen.is_empty() { String::new() } else { format!("|{} {} ", seen.len(), seen.join(" ")) };
    match state.options.flavor {
        Flavor::Classic => format!("{prefix}{words}"),
        Flavor::Buildkit => format!("RUN {prefix}{words} # buildkit"),
    }
}
