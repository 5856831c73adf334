//! `create`, `remove` and `prune` of volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Volume, store};
use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, EventKind};
use crate::filters::Filters;

/// A volume that is wished for.
#[derive(Debug, Clone, Default)]
pub struct VolumeRequest {
    /// Name; empty = a made-up one.
    pub name: String,
    /// Driver; empty = `local`.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a volume; one that is there already is given as it is.
    ///
    /// # Errors
    /// The name is none; another driver, or options of the driver; the disk is full.
    pub async fn volume_create(&self, request: VolumeRequest) -> Result<Volume> {
        check(&request)?;
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let anonymous = request.name.is_empty();
            let name = if anonymous { crate::id::random()? } else { request.name };
            if store::ensure(&engine.layout, &name, &request.labels, anonymous)? {
                publish(&engine, "create", &name);
            }
            let made = store::list(&engine.layout).into_iter().find(|volume| volume.name == name);
            made.ok_or_else(|| Error::system(format!("volume {name} has no readable record")))
        })
        .await
    }

    /// Removes a volume.
    ///
    /// # Errors
    /// No such volume, unless `force`; a container has it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            if !store::list(&engine.layout).iter().any(|volume| volume.name == name) {
                return if force {
                    Ok(())
                } else {
                    Err(Error::not_found(format!("get {name}: no such volume")))
                };
            }
            let users = users(&engine, &name);
            if !users.is_empty() {
                let users = users.join(", ");
                return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
            }
            destroy(&engine, &name)
        })
        .await
    }

    /// Removes volumes that no container has: anonymous ones, and named ones with the filter `all`. Gives their
    /// names, and the bytes that are free now.
    ///
    /// # Errors
    /// An unknown filter; a volume can't be removed.
    pub async fn volume_prune(&self, filters: Filters) -> Result<(Vec<String>, u64)> {
        filters.only(&["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or(false);
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let (mut names, mut bytes) = (Vec::new(), 0);
            for volume in store::list(&engine.layout) {
                let spared = filters.contains("label!") && filters.labels("label!", &volume.labels);
                let wanted = (all || volume.anonymous) && filters.labels("label", &volume.labels) && !spared;
                if !wanted || !users(&engine, &volume.name).is_empty() {
                    continue;
                }
                let size = super::size(&volume.mountpoint);
                destroy(&engine, &volume.name)?;
                bytes += size;
                names.push(volume.name);
            }
            Ok((names, bytes))
        })
        .await
    }
}

fn check(request: &VolumeRequest) -> Result<()> {
    if !request.driver.is_empty() && request.driver != "local" {
        return Err(Error::not_found(format!(
            "error looking up volume plugin {0}: plugin \"{0}\" not found",
            request.driver
        )));
    }
    if let Some(name) = request.options.keys().next() {
        return Err(Error::not_implemented(format!(
            "option {name} of the local volume driver is not supported yet"
        )));
    }
    if !request.name.is_empty() && !crate::id::is_name(&request.name) {
        return Err(Error::bad_parameter(format!(
            "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
             are allowed. If you intended to pass a host directory, use absolute path",
            request.name
        )));
    }
    Ok(())
}

/// Ids of containers that have a volume.
fn users(engine: &Inner, name: &str) -> Vec<String> {
    let containers = engine.containers.all();
    let users = containers
        .iter()
        .filter(|entry| entry.snapshot().mounts.iter().any(|mount| !name.is_empty() && mount.name == name));
    users.map(|entry| entry.id.clone()).collect()
}

fn destroy(engine: &Inner, name: &str) -> Result<()> {
    store::remove(&engine.layout, name)?;
    publish(engine, "destroy", name);
    Ok(())
}

fn publish(engine: &Inner, action: &str, name: &str) {
    engine.events.publish(Event {
        kind: EventKind::Volume,
        action: action.to_owned(),
        id: name.to_owned(),
        attributes: [("driver".to_owned(), "local".to_owned())].into(),
        time: jiff::Timestamp::now(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_local_driver_cannot_do_is_refused() {
        let refused = |change: fn(&mut VolumeRequest)| {
            let mut request = VolumeRequest::default();
            change(&mut request);
            check(&request).err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|request| request.name = "a-1".into()), None);
        assert!(refused(|request| request.name = "../a".into()).unwrap().contains("invalid characters"));
        assert!(refused(|request| request.driver = "nfs".into()).unwrap().contains("plugin \"nfs\""));
        let options = |request: &mut VolumeRequest| request.options = [("device".into(), "x".into())].into();
        assert!(refused(options).unwrap().contains("option device"));
    }
}
