//! What a step sees beside its root: binds of other trees, caches, memory, and what the client lends.

mod cache;
mod writable;

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ::build::graph::{Exec, Mount, MountKind};
use ::build::solve::{Job, Tree};
use ::build::{Error, Result};
use store::CacheUse;
use sys::mount::Change;

use super::secret::Socket;
use super::worker::BuildWorker;
use crate::container::FileMount;
use crate::container::security::selinux;
use crate::error;
use crate::userns::Holder;
use crate::volume::Handed;
use writable::Writable;

/// How a step sees files.
#[derive(Clone, Copy, Default)]
pub(super) struct Sight<'a> {
    /// With the ids of its user namespace, if it has one.
    pub(super) user: Option<&'a Holder>,
    /// SELinux's label of what is mounted for it; empty = none.
    pub(super) label: &'a str,
}

impl Sight<'_> {
    /// Labels a directory of ours that steps are shown as it is, so that all of them may use it.
    pub(super) fn show(&self, path: &Path) -> error::Result<()> {
        let Ok(own) = self.label.parse::<sys::selinux::Context>() else { return Ok(()) };
        let label = own.at(selinux::SHARED).to_string();
        selinux::relabel(selinux::open(path)?.as_fd(), &path.display().to_string(), &label, &[])
    }
}

/// What is mounted for a step, as its container gets it; whatever has to stay as long as the container is in it.
#[derive(Default)]
pub(super) struct View {
    pub(super) files: Vec<FileMount>,
    pub(super) handed: Vec<Handed>,
    agents: Vec<Socket>,
    caches: Vec<Arc<CacheUse>>,
    /// Copies whose changes nobody wants.
    copies: Vec<Writable>,
}

/// What is mounted for a step, and what comes of it.
#[derive(Default)]
pub(super) struct Mounted {
    pub(super) view: View,
    /// Places in the root that are only there to be mounted on.
    pub(super) places: Vec<String>,
    /// Results beside the root.
    pub(super) outputs: Vec<Out>,
}

/// A mount that is a result of its step, by its number.
pub(super) struct Out {
    number: u32,
    tree: OutTree,
}

enum OutTree {
    /// It could not be changed.
    Same(Tree),
    /// What it has become.
    Changed(Writable),
}

impl Out {
    /// As a tree, when the step is over.
    pub(super) fn finish(self, worker: &BuildWorker) -> Result<(u32, Tree)> {
        let tree = match self.tree {
            OutTree::Same(tree) => tree,
            OutTree::Changed(copy) => copy.commit(worker)?,
        };
        Ok((self.number, tree))
    }
}

impl Mounted {
    /// What lies on a file system of its own is shown with the step's ids; layers are mounted so.
    fn lend(&mut self, target: &str, mount: OwnedFd, user: Option<&Holder>, options: &[&str]) -> Result<()> {
        if let Some(user) = user {
            let change = Change { idmap: Some(user.shown().user), ..Change::default() };
            sys::mount::change(&mount, &change)
                .map_err(|error| Error::because(format!("mount {target} with the step's ids"), error))?;
        }
        self.hand(target, mount, options);
        Ok(())
    }

    fn hand(&mut self, target: &str, mount: OwnedFd, options: &[&str]) {
        self.places.push(target.to_owned());
        self.view.files.push(FileMount {
            source: Some("/".into()),
            destination: target.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        });
        self.view.handed.push(Handed { destination: target.to_owned(), mount, keep: String::new() });
    }

    fn memory(&mut self, target: &str, size: Option<u64>, readonly: bool) {
        let mut options = vec!["nosuid".to_owned(), "nodev".to_owned(), "mode=1777".to_owned()];
        options.extend(size.map(|size| format!("size={size}")));
        options.extend(readonly.then(|| "ro".to_owned()));
        self.places.push(target.to_owned());
        self.view.files.push(FileMount { source: None, destination: target.to_owned(), options });
    }
}

/// How files that a step may change, or not, are mounted.
fn bind_options(readonly: bool) -> &'static [&'static str] {
    if readonly { &["rbind", "rprivate", "ro"] } else { &["rbind", "rprivate"] }
}

/// What a mount begins as.
fn beginning(mount: &Mount, inputs: &[Tree]) -> Result<Tree> {
    match mount.input {
        Some(input) => inputs.get(input).cloned().ok_or_else(|| Error::Invalid("an input is missing".into())),
        None => Ok(Tree::Layers(Vec::new())),
    }
}

impl BuildWorker {
    /// What the step sees beside its root; `None` when it is cancelled while it waits for a cache.
    pub(super) fn mounted(
        &self,
        job: &Job<'_>,
        exec: &Exec,
        inputs: &[Tree],
        sight: Sight<'_>,
    ) -> Result<Option<Mounted>> {
        let user = sight.user;
        let mut mounted = Mounted::default();
        let Some(mut caches) = self.caches(job, exec, inputs)? else { return Ok(None) };
        for mount in exec.mounts.iter().filter(|mount| mount.target != "/") {
            let target = &mount.target;
            match &mount.kind {
                MountKind::Bind => self.bind(mount, beginning(mount, inputs)?, sight, &mut mounted)?,
                MountKind::Tmpfs { size } => mounted.memory(target, *size, mount.readonly),
                MountKind::Cache(_) => {
                    let gone = || Error::Invalid(format!("the cache of {target} is missing"));
                    let cache = caches.pop_front().ok_or_else(gone)?;
                    sight
                        .show(&cache.path())
                        .map_err(|error| Error::because("label a cache mount", error))?;
                    let files = sys::mount::clone_path(cache.path(), false)
                        .map_err(|error| Error::because("open a cache mount", error))?;
                    mounted.lend(target, files, user, bind_options(mount.readonly))?;
                    mounted.view.caches.push(cache);
                }
                MountKind::Secret(secret) => {
                    if let Some(file) = self.secret(secret, sight.label)? {
                        let options = ["bind", "rprivate", "ro", "nosuid", "nodev", "noexec"];
                        mounted.lend(target, file, user, &options)?;
                    }
                }
                MountKind::Ssh(ssh) => {
                    if let Some((socket, agent)) = self.agent(ssh, sight.label)? {
                        let options = ["bind", "rprivate", "nosuid", "nodev", "noexec"];
                        mounted.lend(target, socket, user, &options)?;
                        mounted.view.agents.push(agent);
                    }
                }
            }
        }
        Ok(Some(mounted))
    }

    /// Another tree's files: as they are, or a copy-on-write copy whose changes are a result or nobody's.
    fn bind(&self, mount: &Mount, tree: Tree, sight: Sight<'_>, mounted: &mut Mounted) -> Result<()> {
        if mount.readonly {
            let part = self.part(&tree, &mount.selector, sight)?;
            mounted.hand(&mount.target, part, bind_options(true));
            mounted.outputs.extend(mount.output.map(|number| Out { number, tree: OutTree::Same(tree) }));
            return Ok(());
        }
        let wanted = if mount.output.is_some() { "" } else { &mount.selector };
        let (copy, all) = Writable::new(self, &tree, wanted, sight)?;
        mounted.hand(&mount.target, super::worker::part_of(all, &mount.selector)?, bind_options(false));
        match mount.output {
            Some(number) => mounted.outputs.push(Out { number, tree: OutTree::Changed(copy) }),
            None => mounted.view.copies.push(copy),
        }
        Ok(())
    }
}
