//! `-v [source:]target[:mode]`

use super::{mode, path, root};
use crate::container::{MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Settles one `-v`.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub(super) fn parse(engine: &Inner, text: &str, driver: &str) -> Result<MountPoint> {
    let wrong = || Error::bad_parameter(format!("invalid volume specification: '{text}'"));
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        ["", ..] => return Err(wrong()),
        [target] => ("", target, ""),
        // a mode, where a target belongs
        [_, second] if mode::parse(second).is_some() => return Err(wrong()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(wrong()),
    };
    let words = mode::parse(mode).ok_or_else(|| Error::bad_parameter(format!("invalid mode: {mode}")))?;
    let kind = if source.starts_with('/') { MountKind::Bind } else { MountKind::Volume };
    let config = |error: Error| {
        let kind = kind.name();
        let why = format!("invalid mount config for type \"{kind}\": {error}");
        Error::bad_parameter(format!("invalid volume specification: '{text}': {why}"))
    };
    if target.is_empty() {
        return Err(config(Error::bad_parameter("field Target must not be empty")));
    }
    path::not_root(target).map_err(config)?;
    let destination = path::clean(target).map_err(config)?;
    let foreign = match kind {
        MountKind::Bind if words.no_copy => Some("VolumeOptions"),
        MountKind::Volume if !words.propagation.is_empty() => Some("BindOptions"),
        _ => None,
    };
    if let Some(field) = foreign {
        return Err(config(Error::bad_parameter(format!("field {field} must not be specified"))));
    }
    let point = MountPoint {
        kind,
        destination,
        mode: mode.to_owned(),
        rw: !words.read_only,
        no_copy: words.no_copy,
        id_map: super::super::idmap::check(&words.id_map)?,
        ..MountPoint::default()
    };
    if kind == MountKind::Bind {
        let source = path::clean(source).map_err(config)?;
        let propagation = root::propagation(engine, &source, &words.propagation)?;
        return Ok(MountPoint { source, propagation, ..point });
    }
    let label = if mode.is_empty() { "z" } else { mode };
    super::volume(engine, MountPoint { mode: label.to_owned(), ..point }, source, driver)
}
