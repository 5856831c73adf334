//! `cp` out of a container, and what is at a path.

use std::os::fd::AsFd;

use bytes::Bytes;
use sys::idmap::Map;
use tarball::{Packer, Xattrs};
use tokio::sync::oneshot;

use super::outgoing::{self, Outgoing};
use super::place::{self, PathStat, Place};
use super::tar_error;
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::userns::IdMap;
use crate::{Engine, Stream};

impl Engine {
    /// What is at a path in a container.
    ///
    /// # Errors
    /// No such container; nothing is there.
    pub async fn container_path(&self, name: &str, path: &str) -> Result<PathStat> {
        let (_, view) = self.view(name).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking(move || Ok(place::find(view.root(), &name, &path)?.stat)).await
    }

    /// A tar of what is at a path in a container, and what that is. A directory is packed with all beneath, under
    /// the last name of the path.
    ///
    /// # Errors
    /// No such container; nothing is there. In the stream: a file can't be read.
    pub async fn container_archive(&self, name: &str, path: &str) -> Result<(PathStat, Stream<Bytes>)> {
        let (container, view) = self.view(name).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        let ids = container.ids.as_ref().map(IdMap::ids);
        let (tell, told) = oneshot::channel();
        let (output, stream) = outgoing::channel();
        tokio::task::spawn_blocking(move || {
            let found = match place::find(view.root(), &name, &path) {
                Ok(found) => found,
                Err(error) => return drop(tell.send(Err(error))),
            };
            if tell.send(Ok(found.stat.clone())).is_ok() {
                send(&found, ids, output);
            }
        });
        let stat = told.await.map_err(|error| Error::because("pack files", error))??;
        self.container_event(&container, "archive-path", &[]);
        Ok((stat, stream))
    }
}

fn send(found: &Place, ids: Option<Map>, mut output: Outgoing) {
    let mut packer = Packer::new(&mut output, Xattrs::Capability).inside(ids);
    // below the root, names begin with its slash
    let name = if found.stat.name == "/" { "" } else { &found.stat.name };
    let packed = packer.handle(found.handle.as_fd(), name.as_bytes());
    if let Err(error) = packed.and_then(|()| packer.finish().map(drop)) {
        output.fail(tar_error(error));
    }
}
