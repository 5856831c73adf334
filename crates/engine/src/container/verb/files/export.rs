//! `export`: the whole root file system, without what is mounted over it.

use bytes::Bytes;
use sys::idmap::Map;
use tarball::{Packer, Xattrs};

use super::outgoing::{self, Outgoing};
use super::tar_error;
use crate::container::view::View;
use crate::error::{Error, Result};
use crate::userns::IdMap;
use crate::{Engine, Stream};

impl Engine {
    /// A tar of a container's root file system, volumes not in it.
    ///
    /// # Errors
    /// No such container; it is being removed. In the stream: a file can't be read.
    pub async fn container_export(&self, name: &str) -> Result<Stream<Bytes>> {
        let container = self.0.containers.find(name)?.snapshot();
        super::not_going(&container, "export")?;
        let (container, view) = self.view(name).await?;
        let ids = container.ids.as_ref().map(IdMap::ids);
        let (output, stream) = outgoing::channel();
        let (engine, name) = (self.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || match send(&view, ids, output) {
            Ok(()) => engine.container_event(&container, "export", &[]),
            Err((output, error)) => output.fail(error.context(format!("Error exporting container {name}"))),
        });
        Ok(stream)
    }
}

fn send(view: &View, ids: Option<Map>, mut output: Outgoing) -> Result<(), (Outgoing, Error)> {
    let mut packer = Packer::new(&mut output, Xattrs::Capability).inside(ids);
    let packed = view.root_alone().and_then(|root| {
        let root = sys::path::Root::in_root(root).open_dir("/");
        let root = root.map_err(|error| Error::because("open the root file system", error))?;
        packer.contents(&root).map_err(tar_error)?;
        packer.finish().map_err(tar_error)
    });
    let packed = packed.map(drop);
    packed.map_err(|error| (output, error))
}
