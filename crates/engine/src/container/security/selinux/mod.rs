//! SELinux: whether containers have labels, and which. Each container has a process label and a file label, with a pair of
//! categories that no other container has: so the policy keeps from each other what the kernel's ids do not.

mod contexts;
mod files;
mod levels;
mod options;

use std::sync::Arc;

use sys::selinux::Context;

pub(crate) use files::{SHARED, Sharing, label, open, relabel};
pub(crate) use levels::take;
pub(crate) use options::{Labels, is_nested};

use crate::container::Container;
use crate::container::book::Book;
use crate::error::{Error, Result};
use crate::id;
use contexts::Contexts;

/// Whether containers of this daemon have labels.
pub(crate) struct Selinux {
    /// `None` = they have none.
    contexts: Option<Contexts>,
    /// Levels that stand in no record.
    book: Arc<Book<String>>,
}

impl Selinux {
    /// Looks at the host, if labels are wanted. A kernel without SELinux is as good as a daemon that is not asked for it,
    /// as in Docker: configuration is shared among hosts.
    ///
    /// # Errors
    /// The loaded policy does not know what containers are.
    pub(crate) fn open(wanted: bool, rootless: bool) -> Result<Self> {
        if wanted && rootless {
            return Err(Error::bad_parameter(
                "selinux-enabled: is not supported by a rootless berthd: labels are root's to give",
            ));
        }
        let enabled = wanted && sys::selinux::is_enabled();
        if wanted && !enabled {
            tracing::warn!("containers get no labels: SELinux is not enabled on this host");
        }
        let contexts = if enabled { Some(Contexts::read()?) } else { None };
        if let Some(contexts) = &contexts {
            for context in [&contexts.process, &contexts.file, &contexts.layers] {
                known(&context.to_string()).map_err(|error| {
                    error.context(
                        "selinux-enabled: is the policy of containers installed (container-selinux)?",
                    )
                })?;
            }
        }
        Ok(Self { contexts, book: Arc::default() })
    }

    /// Whether they have.
    pub(crate) fn is_enabled(&self) -> bool {
        self.contexts.is_some()
    }

    /// Labels what is in the store, where containers have labels.
    ///
    /// # Errors
    /// The policy's refusal.
    pub(crate) fn label_store(&self, store: &store::Store) -> Result<()> {
        match &self.contexts {
            Some(contexts) => store
                .label(&contexts.layers.to_string())
                .map_err(|error| Error::because("selinux-enabled: label the layers", error)),
            None => Ok(()),
        }
    }

    /// What a container is labelled with now.
    pub(crate) fn labels(&self, container: &Container) -> Labels {
        Labels {
            process: if self.is_enabled() { container.shown_process_label() } else { "" }.to_owned(),
            mount: self.mount_label(container).to_owned(),
        }
    }

    /// What files of a container are labelled with now; empty = they are not.
    pub(crate) fn mount_label<'a>(&self, container: &'a Container) -> &'a str {
        if self.is_enabled() { &container.mount_label } else { "" }
    }

    /// Options that give a container the labels of another one, whose IPC or PID namespace it joins.
    pub(crate) fn options_of(&self, other: &Container) -> Vec<String> {
        let label = self.labels(other).process;
        let Some(Context { user, role, kind, level }) = label.parse().ok() else { return Vec::new() };
        let mut options = vec![format!("user:{user}"), format!("role:{role}"), format!("type:{kind}")];
        options.extend(level.map(|level| format!("level:{level}")));
        options.into_iter().map(|option| format!("label={option}")).collect()
    }
}

/// The policy must know a context.
fn known(context: &str) -> Result<()> {
    match sys::selinux::knows(context) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Error::bad_parameter(format!("the SELinux policy that is loaded knows no context {context}")))
        }
        Err(error) => Err(Error::because("ask SELinux", error)),
    }
}

/// Keeps the level of a container whose record is left alone from others, if it can be made out.
pub(crate) fn keep(selinux: &Selinux, id: &str, record: &[u8]) {
    let value: Option<serde_json::Value> = serde_json::from_slice(record).ok();
    let label = value.as_ref().and_then(|value| value.get("container")?.get("mount_label")?.as_str());
    if let Some(level) = label.and_then(|label| label.parse::<Context>().ok()?.level) {
        selinux.book.keep(id, level);
    }
}

/// A number below `end`, at random.
fn random(end: u16) -> Result<u16> {
    let mut bytes = [0_u8; 4];
    id::fill(&mut bytes)?;
    // a remainder of 32 bits is even enough
    Ok((u32::from_le_bytes(bytes) % u32::from(end)) as u16)
}
