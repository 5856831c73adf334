//! `protect` and `unprotect`

use std::sync::Arc;

use super::super::{claims, store};
use super::no_such;
use crate::Engine;
use crate::container::task::blocking;
use crate::error::Result;

impl Engine {
    /// From now on (or no longer) nothing removes this volume: not `rm -v`, not a prune, not a removal by force. On disk
    /// before it is answered.
    ///
    /// # Errors
    /// No such volume; the disk is full.
    pub async fn volume_protect(&self, name: &str, protected: bool) -> Result<()> {
        let (engine, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            // a removal that goes on at the same time comes before or after
            let _claims = claims::lock(&engine);
            let mut volume = store::read(&engine.layout, &name).ok_or_else(|| no_such(&name))?;
            if volume.protected == protected {
                return Ok(());
            }
            volume.protected = protected;
            store::rewrite(&engine.layout, &volume)
        })
        .await
    }
}
