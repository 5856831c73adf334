//! A registry: repositories, blobs and uploads on a storage, behind HTTP.
//!
//! `http` turns connections into [`http::call::Call`]s, `handlers` answer one endpoint each, `repository` knows what a
//! repository is, and `storage` keeps the bytes. [`events`] and [`activity`] are for what works beside the requests.

pub mod activity;
pub mod auth;
pub mod config;
pub mod error;
pub mod events;
mod handlers;
mod http;
mod limits;
pub mod name;
mod program;
mod random;
mod repository;
pub mod storage;
mod sweep;

use std::sync::Arc;

use activity::Activity;
use auth::Auth;
use config::Config;
use events::Events;
use repository::uploads::Sessions;
use storage::Storage;

pub use http::listen::Server;
pub use program::{PROGRAM, ProgramError, options, run};

/// What all requests share.
pub struct Registry {
    /// How it is set.
    pub config: Config,
    /// Where the bytes are.
    pub storage: Arc<dyn Storage>,
    /// Who is using what.
    pub activity: Activity,
    /// What happens.
    pub events: Events,
    pub(crate) auth: Auth,
    pub(crate) uploads: Sessions,
}

impl Registry {
    /// A registry on a storage.
    ///
    /// # Errors
    /// When files that the configuration names can't be used.
    pub fn new(config: Config, storage: Arc<dyn Storage>) -> Result<Self, auth::AuthError> {
        let auth = Auth::new(&config)?;
        Ok(Self {
            config,
            storage,
            activity: Activity::default(),
            events: Events::default(),
            auth,
            uploads: Sessions::default(),
        })
    }
}
