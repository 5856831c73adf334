//! One process per container: creates it, keeps its stdio, writes its log, records its exit. No threads, no async.

pub mod detach;
pub mod exit;
pub mod init;
pub mod log;
mod poll;
mod process;
pub mod protocol;
mod relay;

pub use process::run;
