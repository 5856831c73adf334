//! The statements that are kept with an image.

use std::sync::Arc;

use oci::{Descriptor, Document};

use crate::Engine;
use crate::container::task::blocking;
use crate::error::Result;

/// By which a layer of an attestation says what it is.
const PREDICATE: &str = "in-toto.io/predicate-type";

/// A statement about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The blob that holds it.
    pub descriptor: Descriptor,
    /// What it says, a URL.
    pub kind: String,
    /// The statement itself, if it was asked for.
    pub bytes: Option<Vec<u8>>,
}

impl Engine {
    /// What is said of an image, of these kinds; none for all. The statements themselves with `whole`.
    ///
    /// # Errors
    /// There is no such image; a document is not what it was.
    pub async fn image_statements(
        &self,
        name: &str,
        kinds: Vec<String>,
        whole: bool,
    ) -> Result<Vec<Statement>> {
        let id = self.0.find_image(name)?.id;
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let store = &engine.store;
            let Some(kept) = store.manifests(&id)?.into_iter().find(|kept| !kept.companions.is_empty())
            else {
                return Ok(Vec::new());
            };
            let mut all = Vec::new();
            for companion in &kept.companions {
                let Ok(Document::Manifest(manifest)) = Document::parse(&store.document(&companion.digest)?)
                else {
                    continue;
                };
                let here = |layer: &Descriptor| kept.attachments.iter().any(|one| one.digest == layer.digest);
                for layer in manifest.layers.into_iter().filter(here) {
                    let kind = layer.annotations.get(PREDICATE).cloned().unwrap_or_default();
                    if !kinds.is_empty() && !kinds.contains(&kind) {
                        continue;
                    }
                    let bytes = if whole { Some(store.document(&layer.digest)?) } else { None };
                    all.push(Statement { descriptor: layer, kind, bytes });
                }
            }
            Ok(all)
        })
        .await
    }
}
