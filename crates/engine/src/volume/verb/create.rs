//! `create`

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Volume, local, store};
use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};

/// Longest name: that of a file.
const MOST_NAME: usize = 255;

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
    /// The name is none; another driver; an option is wrong; the disk is full.
    pub async fn volume_create(&self, mut request: VolumeRequest) -> Result<Volume> {
        let anonymous = request.name.is_empty();
        if anonymous {
            request.name = crate::id::random()?;
        }
        check(&request)?;
        let engine = Arc::clone(&self.0);
        blocking(move || {
            store::ensure(&engine, &request, engine.userns.as_ref(), anonymous, true)?;
            let name = &request.name;
            let made = store::read(&engine.layout, name);
            made.ok_or_else(|| Error::system(format!("create {name}: the volume has no readable record")))
        })
        .await
    }
}

fn check(request: &VolumeRequest) -> Result<()> {
    check_driver(&request.name, &request.driver)?;
    check_name(&request.name)?;
    local::check(&request.options).map_err(|error| error.context(format!("create {}", request.name)))
}

/// There is one driver.
///
/// # Errors
/// Docker's sentence about another.
pub(in super::super) fn check_driver(name: &str, driver: &str) -> Result<()> {
    if driver.is_empty() || driver == "local" {
        return Ok(());
    }
    Err(Error::not_found(format!(
        "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
    )))
}

/// A name becomes a directory's.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub(in super::super) fn check_name(name: &str) -> Result<()> {
    let why = if name.len() == 1 {
        "volume name is too short, names should be at least two alphanumeric characters".to_owned()
    } else if name.len() > MOST_NAME {
        format!("volume name is too long, names should be at most {MOST_NAME} characters")
    } else if !crate::id::is_name(name) {
        format!(
            "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
             If you intended to pass a host directory, use absolute path"
        )
    } else {
        return Ok(());
    };
    Err(Error::bad_parameter(format!("create {name}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_local_driver_cannot_do_is_refused() {
        let refused = |change: fn(&mut VolumeRequest)| {
            let mut request = VolumeRequest { name: "ok".into(), ..VolumeRequest::default() };
            change(&mut request);
            check(&request).err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|request| request.name = "a-1".into()), None);
        assert!(refused(|request| request.name = "../a".into()).unwrap().contains("invalid characters"));
        assert!(refused(|request| request.name = "a".into()).unwrap().contains("too short"));
        assert!(refused(|request| request.name = "a".repeat(256)).unwrap().contains("too long"));
        assert!(refused(|request| request.driver = "nfs".into()).unwrap().contains("plugin \"nfs\""));
        let options = |request: &mut VolumeRequest| request.options = [("device".into(), "x".into())].into();
        assert_eq!(refused(options).unwrap(), "create ok: missing required option: \"type\"");
    }
}
