//! The program `berth-registry`: reads the configuration, serves, and ends with SIGTERM or SIGINT.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::{Config, ConfigError};
use super::http::listen::Server;
use super::storage::{self, StorageError};
use super::{Registry, auth, gc, metrics, sweep, webhooks};

/// What the program is called as.
pub const PROGRAM: &str = "berth-registry";

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It was called with other words.
    #[error("usage: {PROGRAM} --config FILE")]
    Usage,
    /// The configuration is no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The storage is no good.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The files that say who may do what are no good.
    #[error(transparent)]
    Auth(#[from] auth::AuthError),
    /// A webhook can't be spoken to.
    #[error("[[webhooks]]: {0}")]
    Webhook(#[from] webhooks::WebhookError),
    /// It can't listen.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system does not give what every program needs.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Reads the words after the program's name: the path of the configuration.
///
/// # Errors
/// [`ProgramError::Usage`]
pub fn options(words: impl IntoIterator<Item = OsString>) -> Result<PathBuf, ProgramError> {
    let mut words = words.into_iter();
    match (words.next(), words.next(), words.next()) {
        (Some(flag), Some(path), None) if flag == "--config" && !path.is_empty() => Ok(path.into()),
        _ => Err(ProgramError::Usage),
    }
}

/// Serves until SIGTERM or SIGINT, and for as long as requests then need.
///
/// # Errors
/// [`ProgramError`], before it serves.
pub fn run(path: PathBuf, config: Config) -> Result<(), ProgramError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&path, config))
}

async fn serve(path: &Path, config: Config) -> Result<(), ProgramError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let storage = storage::open(&config.storage).await?;
    let address = config.http.listen;
    let registry = Arc::new(Registry::new(config, storage)?);
    let listen = |source| ProgramError::Listen { address, source };
    let reloader =
        tokio::spawn(reload(signal(SignalKind::hangup())?, path.to_owned(), Arc::clone(&registry)));
    let asked = signal(SignalKind::user_defined1())?;
    let collector = tokio::spawn(gc::forever(Arc::clone(&registry), asked));
    let mut beside = Vec::new();
    for webhook in registry.config.webhooks.clone() {
        beside.push(tokio::spawn(webhooks::forever(Arc::clone(&registry), webhook)?));
    }
    if let Some(config) = &registry.config.metrics {
        let address = config.listen;
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(|source| ProgramError::Listen { address, source })?;
        tracing::info!("numbers are told at http://{}/metrics", listener.local_addr()?);
        beside.push(tokio::spawn(metrics::serve(Arc::clone(&registry), listener)));
    }
    let sweeper = tokio::spawn(sweep::forever(Arc::clone(&registry)));
    let server = Server::bind(registry).await.map_err(listen)?;
    tracing::info!("the registry listens at {}", server.address().map_err(listen)?);
    server
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    sweeper.abort();
    collector.abort();
    beside.iter().for_each(tokio::task::JoinHandle::abort);
    reloader.abort();
    Ok(())
}

/// Reads anew what can be read anew, at each SIGHUP.
async fn reload(mut hangups: Signal, path: PathBuf, registry: Arc<Registry>) {
    while hangups.recv().await.is_some() {
        let outcome =
            Config::read(&path).map_err(ProgramError::from).and_then(|config| Ok(registry.reload(&config)?));
        match outcome {
            Ok(()) => tracing::info!(
                "users, rights, keys and certificates were read anew; the rest needs a restart"
            ),
            Err(error) => tracing::error!("everything stays as it was: {error}"),
        }
    }
}
