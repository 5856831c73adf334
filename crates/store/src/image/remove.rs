//! Removing images by Docker's rules.
//!
//! A name is taken away; with its last name goes the image, and with its last image or container a layer.
//! `force` overrules names and stopped containers, nothing overrules a running container or a child image.

use oci::{Digest, Image, Reference};

use super::manifests::{KeptManifest, discard_unused};
use super::names::{Meant, find};
use super::{ImageUse, RemoveOptions, Removed};
use crate::disk::sync_dir;
use crate::state::{State, prune};
use crate::store::Inner;
use crate::{Error, Result, Store};

/// Which containers use an image.
type Uses<'a> = &'a dyn Fn(&Digest) -> Vec<ImageUse>;

impl Store {
    /// Removes a name, or the image with its last name, by Docker's rules. `uses` says which containers use an
    /// image (it is called without any lock held); layers that containers still stand on stay until the last of
    /// them is gone.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Conflict`] in Docker's words.
    pub fn remove(&self, name: &str, options: RemoveOptions, uses: Uses<'_>) -> Result<Vec<Removed>> {
        let inner = self.inner();
        let mut removal = Removal { inner, options, uses, records: Vec::new() };
        removal.image(name)?;
        Ok(removal.records)
    }
}

struct Removal<'a> {
    inner: &'a Inner,
    options: RemoveOptions,
    uses: Uses<'a>,
    records: Vec<Removed>,
}

impl Removal<'_> {
    fn image(&mut self, name: &str) -> Result<()> {
        let meant = find(&self.inner.lock(), name)?;
        let uses = (self.uses)(meant.id());
        let mut state = self.inner.lock();
        // Another call may have been faster while the lock was free.
        let meant =
            find(&state, name).map_err(|_gone| Error::NoSuchImage(name.into())).and_then(|again| {
                if again.id() == meant.id() { Ok(again) } else { Err(Error::NoSuchImage(name.into())) }
            })?;
        let names = state.names_of(meant.id());
        let mut by_last_name = false;
        match &meant {
            Meant::ByName(reference, id) => {
                by_last_name = true;
                if names.len() <= 1 && !self.options.force {
                    refuse_used_name(name, reference, id, &uses)?;
                }
                self.untag(&mut state, &also_pinned(reference, &names))?;
                if !state.names_of(id).is_empty() {
                    return Ok(());
                }
            }
            Meant::ById(id) if is_single(&names) => {
                refuse_used(id, &uses, self.options.force)?;
                refuse_parent(&state, id)?;
                self.untag(&mut state, &names)?;
            }
            Meant::ById(_) => {}
        }
        self.delete(&mut state, meant.id(), &uses, by_last_name)
    }

    fn untag(&mut self, state: &mut State, names: &[Reference]) -> Result<()> {
        let mut refs = state.refs.clone();
        names.iter().for_each(|name| drop(refs.remove(name)));
        state.set_refs(&self.inner.layout, refs)?;
        self.records.extend(names.iter().map(|name| Removed::Untagged(name.familiar())));
        Ok(())
    }

    fn delete(&mut self, state: &mut State, id: &Digest, uses: &[ImageUse], quiet: bool) -> Result<()> {
        let names = state.names_of(id);
        let allowed = refuse_parent(state, id)
            .and_then(|()| refuse_used(id, uses, self.options.force))
            .and_then(|()| refuse_named(id, &names, self.options.force));
        match allowed {
            // The name is gone, which is what was asked for; the image stays for those who use it.
            Err(Error::Conflict(_)) if quiet => return Ok(()),
            allowed => allowed?,
        }
        if !names.is_empty() {
            self.untag(state, &names)?;
        }
        let Some(entry) = state.images.remove(id) else { return Ok(()) };
        let layout = &self.inner.layout;
        self.inner.trash.discard(&layout.image(id))?;
        let documents = entry.record.manifests.iter().flat_map(KeptManifest::documents).chain([id]);
        discard_unused(state, layout, &self.inner.trash, documents.cloned())?;
        sync_dir(&layout.images())?;
        self.records.push(Removed::Deleted(id.clone()));
        self.layers(state, &entry.image)?;
        if self.options.prune { self.parent(state, &entry.image) } else { Ok(()) }
    }

    /// Tells each chain that no other image has, topmost first, as Docker does.
    fn layers(&mut self, state: &mut State, image: &Image) -> Result<()> {
        prune(state, &self.inner.layout, &self.inner.trash)?;
        let others: Vec<Vec<Digest>> =
            state.images.values().map(|entry| oci::chain::ids(entry.image.diff_ids())).collect();
        for chain in oci::chain::ids(image.diff_ids()).into_iter().rev() {
            let used_by_image = others.iter().any(|ids| ids.contains(&chain));
            let used_by_container = state.snapshots.values().any(|name| name == chain.hex());
            if used_by_image || used_by_container {
                break;
            }
            self.records.push(Removed::Deleted(chain));
        }
        Ok(())
    }

    /// A parent that nobody named and nobody else was made from.
    fn parent(&mut self, state: &mut State, image: &Image) -> Result<()> {
        let parent = image.config().parent.as_deref().and_then(|id| id.parse::<Digest>().ok());
        let Some(parent) = parent.filter(|id| state.images.contains_key(id)) else { return Ok(()) };
        if !state.names_of(&parent).is_empty() {
            return Ok(());
        }
        self.delete(state, &parent, &[], true)
    }
}

/// When the last tag of a repository goes, its digests go with it.
fn also_pinned(reference: &Reference, names: &[Reference]) -> Vec<Reference> {
    let same = |name: &&Reference| name.name() == reference.name() && *name != reference;
    let rest: Vec<&Reference> = names.iter().filter(same).collect();
    let mut gone = vec![reference.clone()];
    if rest.iter().all(|name| name.tag().is_none()) {
        gone.extend(rest.into_iter().cloned());
    }
    gone
}

/// One name, or one tag with digests of the same repository.
fn is_single(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    tags <= 1 && names.windows(2).all(|pair| pair[0].name() == pair[1].name())
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

fn refuse_used_name(asked: &str, reference: &Reference, id: &Digest, uses: &[ImageUse]) -> Result<()> {
    let Some(user) = uses.iter().find(|user| user.running).or(uses.first()) else { return Ok(()) };
    // without the tag that nobody wrote
    let shown = Reference::parse(asked).map_or_else(|_| reference.familiar(), |asked| asked.familiar());
    Err(Error::Conflict(format!(
        "unable to remove repository reference \"{}\" (must force) - container {} is using its referenced image {}",
        shown,
        short(&user.container),
        id.short(),
    )))
}

fn refuse_used(id: &Digest, uses: &[ImageUse], force: bool) -> Result<()> {
    if let Some(user) = uses.iter().find(|user| user.running) {
        return Err(Error::Conflict(format!(
            "unable to delete {} (cannot be forced) - image is being used by running container {}",
            id.short(),
            short(&user.container)
        )));
    }
    match uses.first() {
        Some(user) if !force => Err(Error::Conflict(format!(
            "unable to delete {} (must be forced) - image is being used by stopped container {}",
            id.short(),
            short(&user.container)
        ))),
        _ => Ok(()),
    }
}

fn refuse_named(id: &Digest, names: &[Reference], force: bool) -> Result<()> {
    if names.is_empty() || force {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "unable to delete {} (must be forced) - image is referenced in multiple repositories",
        id.short()
    )))
}

fn refuse_parent(state: &State, id: &Digest) -> Result<()> {
    let made_from =
        |entry: &crate::state::ImageEntry| entry.image.config().parent.as_deref() == Some(id.as_str());
    if state.images.values().any(made_from) {
        return Err(Error::Conflict(format!(
            "unable to delete {} (cannot be forced) - image has dependent child images",
            id.short()
        )));
    }
    Ok(())
}
