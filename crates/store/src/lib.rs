//! Images on disk: blobs, layers, snapshots and their garbage collection. Never dials out.
//!
//! Everything blocks; an async caller uses a blocking thread. What lies where is drawn in `layout.rs`.

mod accounts;
mod build;
mod cache_mount;
mod codec;
mod commit;
mod disk;
mod error;
mod export;
pub mod fuzzing;
mod image;
mod import;
mod in_flight;
mod ingest;
mod label;
mod layer;
mod layout;
mod limits;
mod load;
mod pull;
mod push;
mod rewrite;
mod save;
mod scratch;
mod snapshot;
mod state;
mod store;
#[cfg(test)]
mod testing;

pub use accounts::Accounts;
pub use build::{Hold, Stacks};
pub use cache_mount::{CacheMount, CacheSharing, CacheUse, CacheWanted};
pub use codec::decompressed;
pub use commit::CommitOptions;
pub use error::{Error, ErrorKind, Result};
pub use export::OciLayout;
pub use image::{
    DiskUsage, GraphDriver, HistoryItem, ImageLayers, ImageSummary, ImageUse, ImportOptions, KeptManifest,
    Known, Loaded, Progress, RemoveOptions, Removed,
};
pub use in_flight::{LayerNews, Listener};
pub use ingest::{BlobWriter, Finished, Ingest};
pub use layer::LayerBlob;
pub use pull::{Claim, Leftovers, Pull, PullLayer, PullRequest, RawDocument, Waiter};
pub use push::{Compressing, Form, Kind, PushLayer, PushPlan, Pushed};
pub use scratch::Scratch;
pub use snapshot::{Change, ChangeKind, Driver, DriverChoice, Shown, Snapshot, Swept};
pub use store::Store;
