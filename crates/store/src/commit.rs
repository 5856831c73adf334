//! An image out of a container: its image's layers, and one of what it changed.

use std::sync::Arc;

use oci::{Digest, History, Image, ImageConfig};

use crate::disk::TmpDir;
use crate::load::{
    ChunkOutput, ChunkReader, Fresh, NewImage, Publisher, adopt_here, chunks, commit_images, unpack_here,
};
use crate::snapshot::pack;
use crate::state::chain_name;
use crate::{Change, Error, Result, Snapshot, Store};

/// What the new image says of itself.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Name for the image.
    pub name: Option<oci::Reference>,
    /// What containers get by default.
    pub config: oci::image::RunConfig,
    /// Who.
    pub author: String,
    /// A remark.
    pub comment: String,
    /// The container's command, for the history.
    pub created_by: String,
}

impl Store {
    /// Makes an image of a container whose image is `image`: one more layer of its changes, or none when there
    /// are none. On disk for good when it returns.
    ///
    /// # Errors
    /// The image or the container's root file system is gone; [`Error::NoSpace`]. Nothing stays behind.
    pub fn commit(
        &self,
        container: &str,
        image: &Digest,
        scaffold: &[&str],
        options: CommitOptions,
    ) -> Result<Digest> {
        let inner = self.inner();
        let snapshot = self.snapshot(container)?;
        let mut publisher = Publisher::new(inner);
        let (parent, mut keys) = {
            let state = inner.lock();
            let entry = state.images.get(image).ok_or_else(|| Error::NoSuchImage(image.to_string()))?;
            let chain = chain_name(entry.image.diff_ids());
            let keys = state.chains.get(&chain).cloned();
            let missing = || Error::Damaged(format!("the layers of {chain} are missing"));
            (entry.image.clone(), keys.ok_or_else(missing)?.to_vec())
        };
        publisher.hold(&keys);
        let changes = snapshot.changes(scaffold)?;
        let mut diff_ids = parent.diff_ids().to_vec();
        if !changes.is_empty() {
            let layer = self.layer(&snapshot, &changes)?;
            let (diff_id, key) = publisher.above(&keys, &diff_ids, layer)?;
            diff_ids.push(diff_id);
            keys.push(key);
        }
        let names = options.name.clone().map(oci::Reference::with_default_tag).into_iter().collect();
        let config = config(parent.config(), container, options, diff_ids, changes.is_empty());
        let image = Image::encode(&config).map_err(|error| Error::Document(error.to_string()))?;
        let id = image.id().clone();
        let image = NewImage { image: Arc::new(image), names, keys, kept: None };
        commit_images(&mut publisher, &[image], &|_| ())?;
        Ok(id)
    }

    /// The changes on their way from the container's directory to a layer's.
    pub(crate) fn layer(&self, snapshot: &Snapshot, changes: &[Change]) -> Result<Fresh> {
        let inner = self.inner();
        let tmp = TmpDir::new(&inner.layout)?;
        packed(
            |output| snapshot.pack(changes, output),
            |tar| unpack_here(tar, tmp, inner.limits, inner.umask),
        )
    }

    /// The changes as they stand become the layer's files; the snapshot has none any more. Nobody has it mounted.
    pub(crate) fn layer_in_place(&self, snapshot: &Snapshot, changes: &[Change]) -> Result<Fresh> {
        let inner = self.inner();
        let tmp = TmpDir::new(&inner.layout)?;
        let diff = tmp.path().join(crate::layout::layer::DIFF);
        snapshot.give_away(&diff)?;
        packed(|output| pack(&diff, None, changes, output), |tar| adopt_here(tar, tmp, inner.limits))
    }
}

/// Makes a tar in one thread of what is read in this one.
pub(crate) fn packed(
    pack: impl FnOnce(&mut ChunkOutput<'_>) -> Result<()> + Send,
    take: impl FnOnce(ChunkReader) -> Result<Fresh>,
) -> Result<Fresh> {
    let (writer, reader) = chunks();
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let mut output = ChunkOutput::new(&writer);
            match pack(&mut output) {
                // Nobody reads any more: the reader knows why.
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(());
                }
                packed => packed?,
            }
            if output.flush_last() {
                drop(output);
                writer.end();
            }
            Ok(())
        });
        let taken = take(reader);
        let sent = sender.join().unwrap_or_else(|_panic| Err(Error::Damaged("a thread failed".into())));
        sent.and(taken)
    })
}

fn config(
    parent: &ImageConfig,
    container: &str,
    options: CommitOptions,
    diff_ids: Vec<Digest>,
    empty_layer: bool,
) -> ImageConfig {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let created = Some(jiff::Timestamp::now().to_string());
    let (author, comment) = (some(options.author), some(options.comment));
    let mut history = parent.history.clone();
    history.push(History {
        created: created.clone(),
        author: author.clone(),
        created_by: some(options.created_by),
        comment: comment.clone(),
        empty_layer,
    });
    ImageConfig {
        author,
        comment,
        config: options.config,
        container: some(container.to_owned()),
        created,
        history,
        parent: None,
        docker_version: None,
        rootfs: oci::image::RootFs { kind: "layers".into(), diff_ids },
        ..parent.clone()
    }
}
