//! Images on disk: blobs, layers, snapshots and their garbage collection. Never dials out.
//!
//! Everything blocks; an async caller uses a blocking thread. What lies where is drawn in `layout.rs`.

mod error;
mod image;
mod layout;
mod snapshot;
mod store;

pub use error::{Error, ErrorKind, Result};
pub use image::{
    DiskUsage, GraphDriver, HistoryItem, ImageLayers, ImageSummary, ImageUse, ImportOptions, Loaded,
    Progress, RemoveOptions, Removed,
};
pub use snapshot::{Change, ChangeKind, Driver, DriverChoice, Snapshot, Swept};
pub use store::Store;
