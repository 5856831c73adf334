//! What can be asked of the engine about itself.

use super::{DiskUsage, Info, Version};
use crate::error::{Error, Result};
use crate::events::{Event, EventsOptions};
use crate::{Engine, Stream};

impl Engine {
    /// What the engine is and where it runs.
    #[must_use]
    pub fn version(&self) -> Version {
        let uname = rustix::system::uname();
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: String::new(),
            build_time: String::new(),
            os: "linux".to_owned(),
            arch: crate::image::go_arch().to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
        }
    }

    /// The engine's state in numbers and names.
    ///
    /// # Errors
    /// The host can't be read.
    pub async fn info(&self) -> Result<Info> {
        Err(Error::unavailable("info"))
    }

    /// What happens, and happened.
    ///
    /// # Errors
    /// A filter is unknown.
    pub fn events(&self, options: EventsOptions) -> Result<Stream<Event>> {
        Ok(self.0.events.stream(&options, |_| true))
    }

    /// What takes space.
    ///
    /// # Errors
    /// Files can't be read.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        Err(Error::unavailable("df"))
    }
}
