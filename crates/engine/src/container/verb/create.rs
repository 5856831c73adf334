//! `create`: a description becomes a container that can be started.

use crate::Engine;
use crate::container::{ContainerConfig, HostConfig, NetworkingConfig};
use crate::error::{Error, Result};

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// Name without slash; `None` = a made-up one.
    pub name: Option<String>,
    /// `os[/arch[/variant]]`; empty = the host's.
    pub platform: String,
    /// Portable half.
    pub config: ContainerConfig,
    /// This host's half.
    pub host: HostConfig,
    /// Networks.
    pub networking: NetworkingConfig,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Id.
    pub id: String,
    /// Sentences about what can't be done here and was left out.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Makes a container.
    ///
    /// # Errors
    /// No such image; name taken; a setting is wrong or can't be had.
    pub async fn container_create(&self, request: CreateRequest) -> Result<Created> {
        Err(Error::no_such_image(&request.config.image))
    }
}
