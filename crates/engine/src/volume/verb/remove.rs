//! `rm`

use std::sync::Arc;

use super::super::{claims, event, store};
use super::{is_protected, no_such};
use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};

impl Engine {
    /// Removes a volume.
    ///
    /// # Errors
    /// No such volume, unless `force`; a container has it; it is protected.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            let claims = claims::lock(&engine);
            let volume = match store::read(&engine.layout, &name) {
                Some(volume) => volume,
                None if force => return Ok(()),
                None => return Err(no_such(&name)),
            };
            let users = claims::users(&engine, &claims, &name);
            if !users.is_empty() {
                let users = users.join(", ");
                return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
            }
            if volume.protected {
                return Err(is_protected(&name));
            }
            let gone = store::discard(&engine.layout, &name)?;
            drop(claims);
            event::publish(&engine, "destroy", &name, &[]);
            store::delete(&engine.layout, &gone)
        })
        .await
    }
}
