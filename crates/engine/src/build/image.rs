//! What was built before is the same image again: its times are those of the first time.

use ::build::cache::{Kind, Record};
use jiff::Timestamp;
use oci::{Digest, ImageConfig};

use super::failed;
use crate::engine::Inner;
use crate::error::{Error, Result};

/// The configuration as it was when this image was first made of these layers, or as it is.
///
/// # Errors
/// The disk is full.
pub(super) fn settled(engine: &Inner, config: ImageConfig, anew: bool) -> Result<ImageConfig> {
    let index = engine.builder.solver.index();
    let encoded = |config: &ImageConfig| {
        serde_json::to_string(config).map_err(|error| Error::because("encode the image", error))
    };
    let key = Digest::sha256(format!("image {}", encoded(&timeless(&config))?).as_bytes());
    let known = index.get(&key).and_then(|record| serde_json::from_str(&record.note?).ok());
    if let Some(known) = known.filter(|_| !anew) {
        return Ok(known);
    }
    let record = Record {
        description: "image".to_owned(),
        kind: Kind::Internal,
        outputs: Vec::new(),
        created: Timestamp::now(),
        used: None,
        uses: 0,
        size: 0,
        added: Some(Vec::new()),
        parents: Vec::new(),
        note: Some(encoded(&config)?),
    };
    index.put(&key, record).map_err(failed)?;
    Ok(config)
}

/// Without the times.
fn timeless(config: &ImageConfig) -> ImageConfig {
    let mut config = config.clone();
    config.created = None;
    config.history.iter_mut().for_each(|entry| entry.created = None);
    config
}
