//! TCP over TLS, with clients that prove who they are or without.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::config::Tls;
use crate::serve::Transport;

/// How long a client may take for the handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Makes TLS of TCP.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file.
    pub(super) fn new(files: &Tls) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).with_context(|| format!("certificate in {}", path.display()))?;
                }
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
                )
            }
        };
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .with_context(|| format!("cannot read a key from {}", files.key.display()))?;
        let config = builder.with_single_cert(certificates(&files.cert)?, key).with_context(|| {
            format!("cannot use certificate {} with key {}", files.cert.display(), files.key.display())
        })?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Does the handshake.
    pub(super) async fn accept(self, stream: TcpStream) -> io::Result<Box<dyn Transport>> {
        let handshake = async {
            match self.0.accept(stream).into_fallible().await {
                Ok(stream) => Ok(stream),
                Err((error, stream)) => {
                    say_why(stream).await;
                    Err(error)
                }
            }
        };
        let stream = tokio::time::timeout(HANDSHAKE_TIME, handshake).await??;
        Ok(Box::new(stream))
    }
}

/// Bytes that a refused client may still send.
const REST: usize = 64 << 10;

/// A client that is refused has the reason in an alert, and may have sent its request already: a socket closed on that
/// would answer with a reset, which can overtake the alert. So what comes is read and thrown away, until the client has
/// read the alert and goes.
async fn say_why(mut stream: TcpStream) {
    let mut rest = [0; 1024];
    let mut left = REST;
    if stream.shutdown().await.is_err() {
        return;
    }
    while let Ok(count @ 1..) = stream.read(&mut rest).await {
        left = left.saturating_sub(count);
        if left == 0 {
            return;
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = || format!("cannot read certificates from {}", path.display());
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(what)?
        .collect::<Result<_, _>>()
        .with_context(what)?;
    anyhow::ensure!(!list.is_empty(), "{}: there are none", what());
    Ok(list)
}
