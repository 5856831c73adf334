//! Registries: how they are reached, and who the user is there. What is fetched from them is in [`crate::image`].

mod config;
mod error;
mod login;

use std::sync::{Arc, PoisonError, RwLock};

use registry::client::{Client, Repository};

use crate::Engine;
use crate::error::Result;

pub use config::RegistryConfig;
pub(crate) use error::{Doing, failed};
pub use registry::client::Credentials;

/// The client of all registries; a reload puts another in its place, and what goes on goes on with the former.
pub(crate) struct Registries(RwLock<Arc<Current>>);

/// A client, and what it was made of.
pub(crate) struct Current {
    pub(crate) config: RegistryConfig,
    pub(crate) client: Client,
}

impl Registries {
    /// Makes the client.
    ///
    /// # Errors
    /// An option is wrong.
    pub(crate) fn open(config: RegistryConfig) -> Result<Self> {
        Ok(Self(RwLock::new(Arc::new(Current::new(config)?))))
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is in effect, for `info`: no passwords.
    pub(crate) fn effective(&self) -> RegistryConfig {
        self.current().config.shown()
    }
}

impl Current {
    fn new(config: RegistryConfig) -> Result<Self> {
        let client = Client::new(config.client()?).map_err(|error| failed(error, Doing::Opening))?;
        Ok(Self { config, client })
    }

    /// A repository, for somebody.
    pub(crate) fn repository(&self, name: &oci::Reference, credentials: &Credentials) -> Repository {
        self.client.repository(name, credentials.clone())
    }
}

impl Engine {
    /// Takes over other settings; those of the environment and of proxies stay what they were.
    ///
    /// # Errors
    /// One of them is wrong; then nothing changes.
    pub fn reload_registries(&self, config: RegistryConfig) -> Result<()> {
        let before = self.0.registries.current();
        let config = RegistryConfig {
            http_proxy: before.config.http_proxy.clone(),
            https_proxy: before.config.https_proxy.clone(),
            no_proxy: before.config.no_proxy.clone(),
            certificates: before.config.certificates.clone(),
            patience: before.config.patience,
            ..config
        };
        if config == before.config {
            return Ok(());
        }
        let current = Arc::new(Current::new(config)?);
        *self.0.registries.0.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }
}
