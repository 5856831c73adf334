//! One file a noun: what is asked, put to the engine, and its answer put on the wire.

pub(crate) mod absent;
pub(crate) mod build;
pub(crate) mod checkpoint;
pub(crate) mod container;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod image_archive;
pub(crate) mod logs;
pub(crate) mod network;
pub(crate) mod prune;
pub(crate) mod registry;
pub(crate) mod stats;
pub(crate) mod streams;
pub(crate) mod system;
pub(crate) mod volume;
