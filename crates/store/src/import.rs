//! An image of one layer out of a root file system's tar.

use std::io::Read;
use std::sync::Arc;

use oci::{Digest, History, Image, ImageConfig, Platform};

use crate::image::ImportOptions;
use crate::load::{NewImage, Publisher, commit_images, unpack_stream};
use crate::{Error, Result, Store};

impl Store {
    /// Makes an image of one layer out of a root file system's tar, compressed or not.
    ///
    /// # Errors
    /// What is wrong with the tar; [`Error::NoSpace`]. Nothing stays behind.
    pub fn import(&self, input: &mut (dyn Read + Send), options: ImportOptions) -> Result<Digest> {
        let inner = self.inner();
        let mut publisher = Publisher::new(inner);
        let (layer, _) = unpack_stream(inner, input)?;
        let (diff_id, _) = publisher.lowest(layer)?;
        let names = options.name.clone().map(oci::Reference::with_default_tag).into_iter().collect();
        let image = Image::encode(&config(options, diff_id.clone()))
            .map_err(|error| Error::Document(error.to_string()))?;
        let id = image.id().clone();
        let keys = vec![diff_id.hex().to_owned()];
        let image = NewImage { image: Arc::new(image), names, keys, kept: None };
        commit_images(&mut publisher, &[image], &|_| ())?;
        Ok(id)
    }
}

fn config(options: ImportOptions, diff_id: Digest) -> ImageConfig {
    let created = Some(jiff::Timestamp::now().to_string());
    let platform = options.platform.unwrap_or_else(Platform::host);
    let comment = Some(options.message);
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        comment: comment.clone(),
        created: created.clone(),
        config: options.config,
        history: vec![History { created, comment, ..History::default() }],
        rootfs: oci::image::RootFs { kind: "layers".into(), diff_ids: vec![diff_id] },
        ..ImageConfig::default()
    }
}
