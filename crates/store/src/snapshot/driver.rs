//! Which driver, and how `inspect` describes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::overlay;
use crate::image::GraphDriver;
use crate::layout::{self, Layout};
use crate::store::Inner;
use crate::{Error, Result};

/// Which driver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// Overlay where it works, else plain copies.
    #[default]
    Auto,
    /// Overlay or nothing.
    Overlay,
    /// Plain copies.
    Vfs,
}

/// The driver in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The kernel's overlay file system.
    Overlay,
    /// Plain copies.
    Vfs,
}

impl Driver {
    /// Docker's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay2",
            Self::Vfs => "vfs",
        }
    }
}

/// Tries what overlay needs below the store's directory: it doesn't work on another overlay, nor on a file
/// system without `trusted` attributes or whiteouts.
pub(crate) fn choose_driver(choice: DriverChoice, layout: &Layout) -> Result<Driver> {
    match choice {
        DriverChoice::Vfs => Ok(Driver::Vfs),
        DriverChoice::Overlay => overlay::probe(layout).map(|()| Driver::Overlay),
        DriverChoice::Auto => Ok(match overlay::probe(layout) {
            Ok(()) => Driver::Overlay,
            Err(error @ Error::NoSpace(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "overlayfs doesn't work here: every container gets a whole copy");
                Driver::Vfs
            }
        }),
    }
}

fn joined<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> String {
    paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

/// An image's directories: its topmost layer is Docker's "upper".
pub(crate) fn image_graph_driver(inner: &Inner, keys: &[String]) -> GraphDriver {
    let mut data = BTreeMap::new();
    let diffs: Vec<PathBuf> =
        keys.iter().rev().map(|key| inner.layout.layer(key).join(layout::layer::DIFF)).collect();
    if let (Driver::Overlay, Some((upper, lowers))) = (inner.driver, diffs.split_first()) {
        data.insert("UpperDir".into(), upper.display().to_string());
        if !lowers.is_empty() {
            data.insert("LowerDir".into(), joined(lowers.iter()));
        }
    }
    GraphDriver { name: inner.driver.name(), data }
}

pub(super) fn snapshot_graph_driver(driver: Driver, dir: &Path, lowers: &[PathBuf]) -> GraphDriver {
    let mut data = BTreeMap::new();
    if driver == Driver::Overlay {
        data.insert("LowerDir".into(), joined(lowers.iter()));
        data.insert("UpperDir".into(), dir.join(layout::snapshot::UPPER).display().to_string());
        data.insert("WorkDir".into(), dir.join(layout::snapshot::WORK).display().to_string());
    }
    GraphDriver { name: driver.name(), data }
}
