//! `berth manifest …`: lists of manifests that are put together here and pushed from here; the daemon has no part.

mod annotate;
mod ask;
mod create;
mod inspect;
mod push;
mod rm;
mod store;

use oci::Reference;

use super::{Context, Group};
use crate::error::{Error, Result};
use crate::flag::Flag;
use ask::Asker;
use store::{Entry, Store};

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "manifest",
    about: "Manage manifests and lists of them",
    commands: &[&annotate::COMMAND, &create::COMMAND, &inspect::COMMAND, &push::COMMAND, &rm::COMMAND],
};

const INSECURE: Flag = Flag::bool("insecure", "The registry may have no TLS, or a certificate of its own");

fn parse(text: &str) -> Result<Reference> {
    let reference = Reference::parse(text).map_err(|error| Error::said(error.to_string()))?;
    Ok(reference.with_default_tag())
}

fn store(context: &Context<'_>) -> Store {
    Store::new(&context.choice.config_dir)
}

/// A manifest of an image: what the list knows of it, else the registry's.
fn entry(store: &Store, list: &Reference, image: &Reference, asker: &mut Asker<'_>) -> Result<Entry> {
    match store.entry(list, image)? {
        Some(entry) => Ok(entry),
        None => asker.image(image),
    }
}
