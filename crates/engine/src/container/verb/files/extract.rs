//! `cp` into a container.

use std::path::Path;

use rustix::fs::{FileType, OFlags};
use tarball::{Extract, Owner, Through, extract};
use tokio_util::io::SyncIoBridge;

use super::place;
use super::tar_error;
use crate::container::task::blocking;
use crate::container::view::View;
use crate::container::{Container, rootfs};
use crate::error::{Error, Result};
use crate::userns::IdMap;
use crate::{Engine, Reader};

/// How to unpack an archive into a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractOptions {
    /// A directory is not replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// The files become the container's user's, if it has one that is not root by default.
    pub copy_owner: bool,
}

impl Engine {
    /// Unpacks a tar, compressed or not, into a directory of a container.
    ///
    /// # Errors
    /// No such container or directory; it is read-only; the archive is malformed. What was unpacked until then
    /// stays.
    pub async fn container_extract(
        &self,
        name: &str,
        path: &str,
        options: ExtractOptions,
        archive: Reader,
    ) -> Result<()> {
        let (container, view) = self.view(name).await?;
        let (name, path, subject) = (name.to_owned(), path.to_owned(), container.clone());
        blocking(move || {
            let place = Place { view: &view, container: &subject, name: &name, path: &path };
            let mut archive = SyncIoBridge::new(archive);
            // what is left of it is read by the runtime when it is dropped, which only this thread knows
            view.inside(|| rootfs::as_root_of(&subject, || place.unpack(options, &mut archive)))
        })
        .await?;
        self.container_event(&container, "extract-to-dir", &[]);
        Ok(())
    }
}

struct Place<'a> {
    view: &'a View,
    container: &'a Container,
    /// As asked for.
    name: &'a str,
    path: &'a str,
}

impl Place<'_> {
    fn unpack(&self, options: ExtractOptions, archive: &mut SyncIoBridge<Reader>) -> Result<()> {
        let root = self.view.root();
        let failed = |error| place::failed(self.name, self.path, error);
        // a last link is followed, so that one may copy into a link to a directory
        let real = root.evaluate(place::absolute(self.path)).map_err(failed)?;
        let dir = root.open(&real, OFlags::PATH, rustix::fs::Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&dir).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Error::bad_parameter("extraction point is not a directory"));
        }
        self.writable(&real)?;
        let shown = real.to_string_lossy();
        let ids = self.container.ids.as_ref().map(IdMap::ids);
        let how = Extract {
            shown: &shown,
            through: Through::Root(root, &real),
            owner: self.owner(options)?,
            ids: ids.as_ref(),
            keep_kinds: options.keep_kinds,
            renames: &[],
        };
        let archive = store::decompressed(archive)?;
        extract(dir, archive, &how).map_err(tar_error)
    }

    /// Docker's sentences, before the kernel refuses with its own.
    fn writable(&self, path: &Path) -> Result<()> {
        let holds = |destination: &str| path.starts_with(destination);
        let over = self.container.mounts.iter().filter(|mount| holds(&mount.destination));
        match over.max_by_key(|mount| mount.destination.len()) {
            Some(mount) if !mount.rw => Err(Error::forbidden("mounted volume is marked read-only")),
            None if self.container.host.readonly_rootfs => {
                Err(Error::forbidden("container rootfs is marked read-only"))
            }
            _ => Ok(()),
        }
    }

    fn owner(&self, options: ExtractOptions) -> Result<Owner> {
        let user = &self.container.config.user;
        if !options.copy_owner || user.is_empty() {
            return Ok(Owner::Archive);
        }
        let found = rootfs::identity(self.view.root(), user, &[])?;
        Ok(Owner::Fixed(found.uid, found.gid))
    }
}
