//! What this end lends to a build: the services of its session.

mod auth;
mod content;
mod files;
mod output;
mod secrets;
mod ssh;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use buildkit::grpc::{Answer, Asked, Service, answer, bidirectional, server_stream, unimplemented};
use buildkit::method;
use buildkit::proto::health;
use tonic::{Request, Response};

use super::layout::Layout;
use crate::login::Logins;

pub(super) use output::Output;
pub(super) use secrets::Secret;

/// The methods that the session's headers announce.
pub(super) const METHODS: &[&str] = &[
    method::HEALTH_CHECK,
    method::FILE_SYNC,
    method::FILE_SEND,
    method::CREDENTIALS,
    method::GET_SECRET,
    method::CHECK_AGENT,
    method::FORWARD_AGENT,
    method::PULL,
    method::CONTENT_INFO,
    method::CONTENT_READ,
    method::CONTENT_WRITE,
];

/// What is lent.
#[derive(Default)]
pub(super) struct Lent {
    /// Directories, by the name that the build knows them by.
    pub(super) dirs: BTreeMap<String, PathBuf>,
    /// Archives or Dockerfiles that came on standard input, by their upload's id.
    pub(super) uploads: BTreeMap<String, Upload>,
    /// Secrets, by their ids.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Sockets of ssh agents, by their ids.
    pub(super) agents: BTreeMap<String, PathBuf>,
    /// Image layouts and directories of caches, by their stores' names.
    pub(super) layouts: BTreeMap<String, Layout>,
    /// Where results go, by the exporter's number.
    pub(super) outputs: BTreeMap<String, Output>,
    /// Who the user is at registries.
    pub(super) logins: Option<Mutex<Logins>>,
}

/// A stream that is read once.
pub(super) type Upload = Mutex<Option<Box<dyn std::io::Read + Send>>>;

/// The services.
#[derive(Clone)]
pub(super) struct Services(pub(super) Arc<Lent>);

impl Service for Services {
    async fn call(&self, asked: Asked) -> Answer {
        let lent = || Arc::clone(&self.0);
        match asked.uri().path() {
            method::HEALTH_CHECK => {
                answer(asked, |_: Request<health::HealthCheckRequest>| async {
                    let status = health::health_check_response::ServingStatus::Serving.into();
                    Ok(Response::new(health::HealthCheckResponse { status }))
                })
                .await
            }
            method::FILE_SYNC => bidirectional(asked, |request| files::sync(lent(), request)).await,
            method::PULL => bidirectional(asked, |request| files::upload(lent(), request)).await,
            method::FILE_SEND => output::serve(lent(), asked).await,
            method::CONTENT_INFO => answer(asked, |request| content::info(lent(), request)).await,
            method::CONTENT_READ => server_stream(asked, |request| content::read(lent(), request)).await,
            method::CONTENT_WRITE => bidirectional(asked, |request| content::write(lent(), request)).await,
            method::CREDENTIALS => answer(asked, |request| auth::credentials(lent(), request)).await,
            method::GET_SECRET => answer(asked, |request| secrets::get(lent(), request)).await,
            method::CHECK_AGENT => answer(asked, |request| ssh::check(lent(), request)).await,
            method::FORWARD_AGENT => bidirectional(asked, |request| ssh::forward(lent(), request)).await,
            _ => unimplemented(&asked),
        }
    }
}
