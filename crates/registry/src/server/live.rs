//! What SIGHUP reads anew: who may what, and certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::auth::{Auth, AuthError};
use super::config::{Config, Tls};

/// Of one reading of the configuration.
pub(crate) struct Live {
    pub(crate) auth: Auth,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Live {
    /// Reads the files that the configuration names.
    pub(crate) fn read(config: &Config) -> Result<Arc<Self>, AuthError> {
        let tls = config.http.tls.as_ref().map(acceptor).transpose()?;
        Ok(Arc::new(Self { auth: Auth::new(config)?, tls }))
    }
}

fn acceptor(files: &Tls) -> Result<TlsAcceptor, AuthError> {
    let provider = Arc::new(ring::default_provider());
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |error: &dyn std::fmt::Display| AuthError::wrong(&path, error.to_string())
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files.certificate)(&error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path)(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(path)(&error))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| AuthError::wrong(&files.key, format!("cannot read a key: {error}")))?;
    let mut config = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|error| wrong(&files.certificate)(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthError> {
    let wrong = |error: String| AuthError::wrong(path, format!("cannot read certificates: {error}"));
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if list.is_empty() {
        return Err(wrong("there are none".into()));
    }
    Ok(list)
}
