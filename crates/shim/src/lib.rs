//! One process per container: creates it, keeps its stdio, writes its log, records its exit. No threads, no async.

pub mod detach;
pub mod log;
pub mod protocol;
