//! What packages an image holds, told when it is asked: nothing of it is run, and nothing is kept.

use std::sync::Arc;

use ::build::{Cancel, CancelOnDrop};
use jiff::Timestamp;
use serde_json::Value;
use sys::path::Root;

use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};

impl Engine {
    /// The packages of an image as SPDX 2.3, as the build's attestation tells them.
    ///
    /// # Errors
    /// There is no such image; its layers can't be mounted or read.
    pub async fn image_sbom(&self, name: &str) -> Result<Value> {
        let found = self.0.find_image(name)?;
        let engine = Arc::clone(&self.0);
        // as it was asked for, if that is one of its names
        let asked = oci::Reference::parse(name).ok().map(oci::Reference::with_default_tag);
        let asked = asked.as_ref().filter(|asked| found.tags.contains(asked)).or(found.tags.first());
        let name = asked.map_or_else(|| found.id.to_string(), oci::Reference::familiar);
        let cancel = Cancel::new();
        let waited_for = CancelOnDrop(cancel.clone());
        let told = blocking(move || {
            let layers = found.image.diff_ids();
            let gone = || Error::system(format!("the layers of {} are gone", found.id));
            let _hold = engine.store.hold(layers).ok_or_else(gone)?;
            let root = Root::in_root(engine.store.mount_layers(layers, "")?);
            let packages = sbom::scan(&root, &|| cancel.is_cancelled());
            let packages = packages.map_err(|error| Error::because("look for packages", error))?;
            Ok(sbom::spdx(&packages, &name, Timestamp::now()))
        })
        .await;
        drop(waited_for);
        told
    }
}
