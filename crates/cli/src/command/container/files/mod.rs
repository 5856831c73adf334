//! A container's files: `cp`, `commit`, `diff`, `export`.

pub(crate) mod commit;
pub(crate) mod cp;
pub(crate) mod diff;
pub(crate) mod export;
mod local;
mod paths;
mod progress;
mod rules;
