//! From what a user writes to an image, and giving names.

use oci::{AnyReference, Digest, Reference};

use super::list::entry;
use crate::state::State;
use crate::store::now;
use crate::{Error, Result, Store};

/// How a user meant an image.
#[derive(Debug)]
pub(super) enum Meant {
    /// By (the beginning of) its id.
    ById(Digest),
    /// By this name.
    ByName(Reference, Digest),
}

impl Meant {
    pub(super) fn id(&self) -> &Digest {
        match self {
            Self::ById(id) | Self::ByName(_, id) => id,
        }
    }
}

/// Docker's order: a whole id, a name, the beginning of an id.
pub(super) fn find(state: &State, name: &str) -> Result<Meant> {
    let reference = match AnyReference::parse(name)? {
        AnyReference::Id(id) if state.images.contains_key(&id) => return Ok(Meant::ById(id)),
        AnyReference::Id(id) => return Err(Error::NoSuchImage(id.to_string())),
        AnyReference::Named(reference) => reference.with_default_tag(),
    };
    if let Some((name, id)) = by_name(state, &reference) {
        return Ok(Meant::ByName(name, id));
    }
    match by_prefix(state, name)? {
        Some(id) => Ok(Meant::ById(id)),
        None => Err(Error::NoSuchImage(reference.familiar())),
    }
}

fn by_name(state: &State, reference: &Reference) -> Option<(Reference, Digest)> {
    if let Some(id) = state.refs.get(reference) {
        return Some((reference.clone(), id.clone()));
    }
    // A digest pins the image whatever tag stands before it.
    let digest = reference.digest()?;
    let pinned = reference.clone().with_digest(digest.clone());
    state.refs.get(&pinned).map(|id| (pinned.clone(), id.clone()))
}

fn by_prefix(state: &State, name: &str) -> Result<Option<Digest>> {
    let prefix = name.strip_prefix("sha256:").unwrap_or(name);
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut found = state.images.keys().filter(|id| id.hex().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(Error::Ambiguous(name.into())),
        (first, _) => Ok(first.cloned()),
    }
}

/// The images (and their names) that a user wants saved: a repository without a tag means all its tags, an id
/// means no name.
pub(crate) fn select(state: &State, name: &str) -> Result<Vec<(Digest, Option<Reference>)>> {
    if let Ok(AnyReference::Named(reference)) = AnyReference::parse(name)
        && reference.is_name_only()
    {
        let same = |other: &Reference| other.name() == reference.name() && other.tag().is_some();
        let tags = state.refs.iter().filter(|(other, _)| same(other));
        let all: Vec<_> = tags.map(|(name, id)| (id.clone(), Some(name.clone()))).collect();
        if !all.is_empty() {
            return Ok(all);
        }
    }
    Ok(vec![match find(state, name)? {
        Meant::ById(id) => (id, None),
        Meant::ByName(name, id) => (id, Some(name)),
    }])
}

impl Store {
    /// The images that a user wants saved, by the same rules as [`Store::save`].
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Ambiguous`], [`Error::Reference`].
    pub fn selected(&self, name: &str) -> Result<Vec<Digest>> {
        let selected = select(&self.inner().lock(), name)?;
        Ok(selected.into_iter().map(|(id, _)| id).collect())
    }

    /// The image that a user means: a reference (`:latest` when it has no tag), an id, or the beginning of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Ambiguous`], [`Error::Reference`].
    pub fn resolve(&self, name: &str) -> Result<Digest> {
        find(&self.inner().lock(), name).map(|meant| meant.id().clone())
    }

    /// Gives an image a name (`:latest` when it has no tag). Returns the image that had it before.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<Option<Digest>> {
        let inner = self.inner();
        let mut state = inner.lock();
        entry(&state, id)?;
        let mut refs = state.refs.clone();
        let old = refs.insert(name.clone().with_default_tag(), id.clone());
        if old.as_ref() != Some(id) {
            state.set_refs(&inner.layout, refs)?;
        }
        state.touch_image(&inner.layout, id, now())?;
        Ok(old.filter(|old| old != id))
    }

    /// Takes a name away and leaves the image. Returns the image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn untag(&self, name: &Reference) -> Result<Digest> {
        let inner = self.inner();
        let mut state = inner.lock();
        let name = name.clone().with_default_tag();
        let mut refs = state.refs.clone();
        let id = refs.remove(&name).ok_or_else(|| Error::NoSuchImage(name.familiar()))?;
        state.set_refs(&inner.layout, refs)?;
        Ok(id)
    }
}
