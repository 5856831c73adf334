//! `build`'s worker: sources, changes of files, and the rest of what a solver asks.

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use ::build::files;
use ::build::graph::{
    Action, Exec, FileAction, FileInput, FileOp, LocalSource, OciLayoutSource, Source, VertexId,
};
use ::build::solve::{Found, Job, Selection, Tree, Worker};
use ::build::{Cancel, Error, Result};
use jiff::Timestamp;
use oci::{Digest, Platform, Reference};
use sys::path::Root;

use super::contexts::Label;
use super::lent::Lent;
use super::mounts::Sight;
use super::settings::Settings;
use super::source::Fetcher;
use super::travel::{Elsewhere, LentImage};
use super::trees::{Directory, Trees};
use crate::container::view::SCAFFOLD;
use crate::engine::Inner;

/// An image by name and platform.
pub(super) type ImageKey = (String, Option<String>);

/// The worker of one build.
pub(super) struct BuildWorker {
    pub(super) engine: Arc<Inner>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) settings: Settings,
    pub(super) trees: Arc<Trees>,
    pub(super) cancel: Cancel,
    /// The context, and directories of other names.
    pub(super) locals: HashMap<String, Tree>,
    /// The client, if it can be asked.
    pub(super) lent: Option<Arc<dyn Lent>>,
    /// Images that the Dockerfile names, by name and platform, as they were when they were looked up.
    pub(super) images: Mutex<HashMap<ImageKey, Vec<Digest>>>,
    /// Those that are the client's own.
    pub(super) lent_images: HashMap<ImageKey, LentImage>,
    pub(super) digests: Mutex<HashMap<(Vec<Digest>, String), Digest>>,
    /// What is looked at beside the daemon's own cache.
    pub(super) elsewhere: Elsewhere,
    /// Steps that this machine does not run by itself.
    pub(super) foreign: HashMap<VertexId, Platform>,
}

/// The name of an image in a layout of the client's among those that were looked up.
pub(super) fn layout_key(layout: &OciLayoutSource, platform: Option<&Platform>) -> ImageKey {
    (format!("{} {}", layout.store, layout.reference), platform.map(ToString::to_string))
}

/// An error of ours as the builder's.
pub(super) fn because(what: &str) -> impl FnOnce(crate::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::because(what, error)
}

/// The store's.
fn store(what: &str) -> impl FnOnce(store::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::because(what, error)
}

/// A snapshot that files are changed in.
struct Workspace<'a> {
    worker: &'a BuildWorker,
    id: String,
    below: Vec<Digest>,
    /// There until it becomes a layer.
    root: Option<Root>,
}

impl<'a> Workspace<'a> {
    fn new(worker: &'a BuildWorker, below: Vec<Digest>) -> Result<Self> {
        let id = crate::id::random().map_err(because("make a root file system"))?;
        let snapshot =
            worker.engine.store.create_snapshot_on(&id, &below).map_err(store("make a root file system"))?;
        let workspace = |root| Self { worker, id, below, root: Some(root) };
        match snapshot.mount() {
            Ok(mount) => Ok(workspace(Root::in_root(mount))),
            Err(error) => {
                let _ = worker.engine.store.remove_snapshot(snapshot.container());
                Err(store("mount a root file system")(error))
            }
        }
    }

    /// The layers with what was changed until now.
    fn commit(&self) -> Result<Tree> {
        let store = &self.worker.engine.store;
        let hold = store.commit_layer(&self.id, &self.below, &[]).map_err(self::store("make a layer"))?;
        Ok(self.worker.trees.take(hold))
    }

    /// The layers with what was changed; no more changes come.
    fn turn(mut self) -> Result<Tree> {
        // the mount goes first: its upper directory becomes a lower one
        drop(self.root.take());
        let store = &self.worker.engine.store;
        let hold = store.turn_into_layer(&self.id, &self.below, &[]).map_err(self::store("make a layer"))?;
        Ok(self.worker.trees.take(hold))
    }

    fn root(&self) -> Result<&Root> {
        self.root.as_ref().ok_or_else(|| Error::Invalid("a root file system is gone".into()))
    }
}

impl Drop for Workspace<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.worker.engine.store.remove_snapshot(&self.id) {
            tracing::warn!(snapshot = %self.id, %error, "a build's root file system stays until the next start");
        }
    }
}

/// Decompression by our own decoders, whatever lies beside the file.
pub(super) fn decompress(input: Box<dyn Read + Send>) -> std::io::Result<Box<dyn Read>> {
    let input = store::decompressed(input).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(Box::new(input))
}

impl Worker for BuildWorker {
    fn source(&self, job: &Job<'_>, source: &Source, platform: Option<&Platform>) -> Result<Tree> {
        match source {
            Source::Image(image) => {
                let layers = self.image(&image.reference, platform)?;
                if !self.trees.hold(&layers) {
                    return Err(Error::Invalid(format!("image {} is gone", image.reference.familiar())));
                }
                Ok(Tree::Layers(layers))
            }
            Source::Local(local) => {
                let unknown =
                    || Error::Invalid(format!("the client has given no directory {:?}", local.name));
                match (self.locals.get(&local.name), &self.lent) {
                    (Some(tree), _) => Ok(tree.clone()),
                    (None, Some(lent)) => self.borrow(job, local, &**lent),
                    (None, None) => Err(unknown()),
                }
            }
            Source::Git(_) | Source::Http(_) => self.fetch(job, source),
            Source::OciLayout(layout) => {
                let unknown = || Error::Invalid(format!("{} was not looked up", layout.reference.familiar()));
                let image = self.lent_images.get(&layout_key(layout, platform)).ok_or_else(unknown)?;
                Ok(self.trees.take(image.fetch(&self.engine.store, &self.cancel)?))
            }
        }
    }

    fn digest(&self, tree: &Tree, part: Selection<'_>) -> Result<Digest> {
        let known = match tree {
            Tree::Layers(layers) => Some((layers.clone(), format!("{part:?}"))),
            Tree::Files(_) => None,
        };
        let digests = || self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.as_ref().and_then(|known| digests().get(known).cloned()) {
            return Ok(digest);
        }
        let root = self.trees.open(tree)?;
        let digest = match part {
            Selection::Path(path) => files::digest_path(&root, path, &self.cancel)?,
            Selection::Copy(copy) => files::digest_copy(&root, copy, &self.cancel)?,
        };
        known.map(|known| digests().insert(known, digest.clone()));
        Ok(digest)
    }

    fn exec(&self, job: &Job<'_>, exec: &Exec, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        if let Some(platform) = self.foreign.get(&job.vertex) {
            super::foreign::check(platform)?;
        }
        self.step(job, exec, inputs)
    }

    fn file(&self, _job: &Job<'_>, op: &FileOp, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        let mut spaces: Vec<Option<Workspace<'_>>> = Vec::with_capacity(op.actions.len());
        let mut outputs = Vec::new();
        for action in &op.actions {
            let space = match action.input {
                Some(FileInput::Action(earlier)) => {
                    let space = spaces.get_mut(earlier).and_then(Option::take);
                    space.ok_or_else(|| {
                        Error::Unsupported("changing one result of a file operation twice".into())
                    })?
                }
                Some(FileInput::Input(input)) => Workspace::new(self, layers(inputs.get(input))?)?,
                None => Workspace::new(self, Vec::new())?,
            };
            self.act(&space, action, &spaces, inputs)?;
            let used_later = op.actions.iter().skip(spaces.len() + 1).any(|later| {
                let this = Some(FileInput::Action(spaces.len()));
                later.input == this || later.secondary == this
            });
            let space = match action.output {
                Some(number) if used_later => {
                    outputs.push((number, space.commit()?));
                    Some(space)
                }
                Some(number) => {
                    outputs.push((number, space.turn()?));
                    None
                }
                None => Some(space),
            };
            spaces.push(space);
        }
        Ok(outputs)
    }

    fn merge(&self, _job: &Job<'_>, inputs: &[Tree]) -> Result<Tree> {
        let mut all = Vec::new();
        for input in inputs {
            all.extend(layers(Some(input))?);
        }
        let hold = self.engine.store.restack(&all).map_err(store("lay layers over each other"))?;
        Ok(self.trees.take(hold))
    }

    fn diff(&self, _job: &Job<'_>, lower: Option<&Tree>, upper: Option<&Tree>) -> Result<Tree> {
        let lower = lower.map_or(Ok(Vec::new()), |tree| layers(Some(tree)))?;
        let upper = upper.map_or(Ok(Vec::new()), |tree| layers(Some(tree)))?;
        let Some(above) = upper.strip_prefix(lower.as_slice()) else {
            return Err(Error::Unsupported("the difference of trees that don't stand on each other".into()));
        };
        let hold = self.engine.store.restack(above).map_err(store("take layers by themselves"))?;
        Ok(self.trees.take(hold))
    }

    fn hold(&self, layers: &[Digest]) -> bool {
        self.trees.hold(layers)
    }

    fn find(
        &self,
        vertex: VertexId,
        key: &Digest,
        inputs: &[Tree],
        outputs: &[u32],
    ) -> Result<Option<Found>> {
        let (store, trees) = (&self.engine.store, &self.trees);
        self.elsewhere.find(store, trees, &self.cancel, (vertex, key), (inputs, outputs))
    }

    fn keep(&self, key: &Digest, outputs: &[(u32, Vec<Digest>)]) {
        let holds = outputs.iter().filter_map(|(_, layers)| self.engine.store.hold(layers)).collect();
        self.engine.builder.keep(key, holds);
    }

    fn size(&self, layers: &[Digest]) -> u64 {
        layers.last().map_or(0, |layer| self.engine.store.layer_size(layer))
    }
}

/// The layers of a tree that is made of some.
pub(super) fn layers(tree: Option<&Tree>) -> Result<Vec<Digest>> {
    match tree {
        Some(Tree::Layers(layers)) => Ok(layers.clone()),
        Some(Tree::Files(_)) => Err(Error::Unsupported("changing a client's directory".into())),
        None => Err(Error::Invalid("an input is missing".into())),
    }
}

impl BuildWorker {
    /// A directory of the client's: what an earlier build was sent of it is here already.
    fn borrow(&self, job: &Job<'_>, local: &LocalSource, lent: &dyn Lent) -> Result<Tree> {
        let failed = because("make room for the client's directory");
        let layout = &self.engine.layout;
        let key = match lent.shared_key() {
            "" => &local.shared_key_hint,
            key => key,
        };
        let kept = match key {
            "" => None,
            key => {
                let key = format!("local\0{key}\0{}", local.name);
                self.engine.builder.contexts.take(layout, &key, &Label::local(&local.name)).map_err(failed)?
            }
        };
        let directory = match kept {
            Some(kept) => Directory::Kept(Arc::new(kept)),
            None => {
                let own =
                    self.engine.store.scratch().map_err(store("make room for the client's directory"))?;
                Directory::Own(Arc::new(own))
            }
        };
        let into = sys::file::open_directory(directory.path())
            .map_err(|error| Error::because("open the client's directory", error))?;
        let started = Timestamp::now();
        job.status("transferring context:", (0, 0), started, false);
        let bytes = lent
            .directory(local, into)
            .map_err(|error| Error::Invalid(format!("transfer of directory {:?}: {error}", local.name)))?;
        job.status("transferring context:", (bytes, 0), started, true);
        Ok(self.trees.put(directory))
    }

    /// Files of a web server or a repository.
    fn fetch(&self, job: &Job<'_>, source: &Source) -> Result<Tree> {
        let fetcher = Fetcher {
            engine: Arc::clone(&self.engine),
            runtime: self.runtime.clone(),
            cancel: self.cancel.clone(),
            lent: self.lent.clone(),
        };
        let started = Timestamp::now();
        let tell = |come, total| job.status("fetching:", (come, total), started, total > 0 && come == total);
        let directory = fetcher.fetch(source, &tell)?;
        let directory = directory.ok_or_else(|| Error::Invalid("the source is not fetched".into()))?;
        Ok(self.trees.put(directory))
    }

    /// The layers of an image that the Dockerfile names.
    pub(super) fn image(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Vec<Digest>> {
        let key = (reference.to_string(), platform.map(ToString::to_string));
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Error::Invalid(format!("image {} was not looked up", reference.familiar()));
        images.get(&key).cloned().ok_or_else(unknown)
    }

    fn act(
        &self,
        space: &Workspace<'_>,
        action: &FileAction,
        spaces: &[Option<Workspace<'_>>],
        inputs: &[Tree],
    ) -> Result<()> {
        // trees that names are looked up in, opened once
        let named: Vec<(FileInput, Root)> = match action.action.owner() {
            Some(chown) => [&chown.user, &chown.group]
                .into_iter()
                .filter_map(|owner| match owner {
                    Some(::build::graph::Owner::Name { input: Some(FileInput::Input(input)), .. }) => {
                        Some(*input)
                    }
                    _ => None,
                })
                .filter_map(|input| Some((FileInput::Input(input), self.trees.open(inputs.get(input)?))))
                .map(|(input, root)| Ok((input, root?)))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let tree = |input: FileInput| named.iter().find(|(known, _)| *known == input).map(|(_, root)| root);
        let target = space.root()?;
        let owner = action.action.owner().map(|chown| files::ids(chown, target, &tree)).transpose()?;
        match &action.action {
            Action::Copy(copy) => {
                let opened;
                let source = match action.secondary {
                    Some(FileInput::Action(earlier)) => {
                        let gone =
                            || Error::Unsupported("copying from a result that was changed further".into());
                        spaces.get(earlier).and_then(Option::as_ref).ok_or_else(gone)?.root()?
                    }
                    Some(FileInput::Input(input)) => {
                        let missing = || Error::Invalid("an input is missing".into());
                        opened = self.trees.open(inputs.get(input).ok_or_else(missing)?)?;
                        &opened
                    }
                    None => {
                        opened = self.trees.open(&Tree::Layers(Vec::new()))?;
                        &opened
                    }
                };
                files::copy(target, source, copy, owner, &decompress, &self.cancel)
            }
            Action::MakeFile(make) => files::make_file(target, make, owner),
            Action::MakeDir(make) => files::make_dir(target, make, owner),
            Action::Remove(remove) => files::remove(target, remove),
            Action::Symlink(link) => files::symlink(target, link, owner),
        }
    }

    /// A snapshot's changes as a layer above others.
    pub(super) fn committed(&self, snapshot: &str, below: &[Digest], extra: &[String]) -> Result<Tree> {
        let scaffold: Vec<&str> = SCAFFOLD.iter().copied().chain(extra.iter().map(String::as_str)).collect();
        let hold = self.engine.store.turn_into_layer(snapshot, below, &scaffold);
        Ok(self.trees.take(hold.map_err(store("make a layer"))?))
    }

    /// A part of a tree as a mount by itself that nothing can be written to.
    pub(super) fn part(&self, tree: &Tree, selector: &str, sight: Sight<'_>) -> Result<OwnedFd> {
        part_of(self.trees.mount(tree, sight)?, selector)
    }
}

/// A part of a mount as a mount by itself; whatever links and `..` say, it is a part.
pub(super) fn part_of(mount: OwnedFd, selector: &str) -> Result<OwnedFd> {
    if selector.is_empty() || selector == "/" {
        return Ok(mount);
    }
    let part = |all: OwnedFd| sys::mount::clone_fd(Root::in_root(all).handle(selector)?, false);
    sys::mount::inside(mount, &part).map_err(|error| Error::path(selector, error))
}
