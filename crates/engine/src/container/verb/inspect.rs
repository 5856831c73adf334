//! `inspect`: a container's snapshot by id, unambiguous id prefix, or name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::list::Size;
use crate::Engine;
use crate::container::Container;
use crate::container::task::blocking;
use crate::error::Result;

impl Engine {
    /// A container's present snapshot. Touches no disk.
    ///
    /// # Errors
    /// No such container; the prefix fits several.
    pub fn container_inspect(&self, name: &str) -> Result<Arc<Container>> {
        let container = self.0.containers.find(name)?.snapshot();
        if container.links.is_empty() {
            return Ok(container);
        }
        let mut shown = Container::clone(&container);
        Arc::make_mut(&mut shown.host).links = crate::container::links::shown(&self.0, &container);
        Ok(Arc::new(shown))
    }

    /// The AppArmor profile of a container: from its first start on, or as soon as it is named; else nothing, like
    /// Docker.
    #[must_use]
    pub fn apparmor_profile(&self, container: &Container) -> String {
        let host = &container.host;
        let named = host.security_opt.iter().any(|option| option.starts_with("apparmor"));
        let known = named || container.state.started_at().is_some();
        let profile =
            if known { self.0.security(host).ok().and_then(|options| options.apparmor) } else { None };
        profile.unwrap_or_default()
    }

    /// Where a container's root lies on the disk, by the storage driver's names for it; nothing for one without a root.
    #[must_use]
    pub fn container_directories(&self, id: &str) -> BTreeMap<String, String> {
        self.0.store.snapshot(id).map(|snapshot| snapshot.graph_driver().data).unwrap_or_default()
    }

    /// Bytes that a container has written, and of its whole root. Walks its files.
    ///
    /// # Errors
    /// No such container; its files can't be read.
    pub async fn container_size(&self, name: &str) -> Result<Size> {
        let container = self.0.containers.find(name)?.snapshot();
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let snapshot = engine.store.snapshot(&container.id)?;
            let rw = snapshot.upper_size()?;
            let image =
                crate::image::parse_id(&container.image_id).and_then(|id| engine.store.image(&id).ok());
            Ok(Size { rw, root_fs: rw + image.map_or(0, |image| image.size) })
        })
        .await
    }
}
