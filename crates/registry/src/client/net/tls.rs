//! Whom to trust, and who we are, in TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::client::error::{Cause, Error, Result};
use crate::client::limits::MAX_CONFIG_FILE;

/// The machine's own authorities, as Debian, Fedora, openSUSE and Alpine keep them.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A certificate and its key. One file may hold both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The files that say how a registry is spoken to in TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsFiles {
    /// Authorities beside the machine's.
    pub(crate) authorities: Vec<PathBuf>,
    /// Who we are; the first that the server can use.
    pub(crate) clients: Vec<ClientCertificate>,
    /// Trust anyone.
    pub(crate) skip_verify: bool,
}

/// The authorities that are trusted everywhere, read when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    file: Option<PathBuf>,
    read: OnceLock<RootCertStore>,
}

impl Authorities {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, read: OnceLock::new() }
    }

    fn get(&self) -> Result<&RootCertStore> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let mut roots = RootCertStore::empty();
        let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
        if let Some(file) = self.file.as_deref().or_else(system) {
            // of the machine's many, some may be in a form that is not known
            roots.add_parsable_certificates(certificates(file)?);
        }
        Ok(self.read.get_or_init(|| roots))
    }
}

/// How one registry is spoken to in TLS.
pub(crate) struct Tls {
    /// For the registry itself and its token server: with the client's certificate.
    pub(crate) own: Arc<ClientConfig>,
    /// For places that it redirects to: the same trust, but we stay anonymous.
    pub(crate) others: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that can't be read or used.
    pub(crate) fn new(files: &TlsFiles, everywhere: &Authorities) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::config("TLS", error))
        };
        let trust = |builder: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>,
                     roots: &RootCertStore| {
            if files.skip_verify {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(Arc::clone(&provider))))
            } else {
                builder.with_root_certificates(roots.clone())
            }
        };
        let mut roots = everywhere.get()?.clone();
        for path in &files.authorities {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| Error::config(path.display(), error))?;
            }
        }
        let others = Arc::new(trust(builder()?, &roots).with_no_client_auth());
        let own = match files.clients.first() {
            None => Arc::clone(&others),
            Some(client) => {
                let what = client.certificate.display();
                let chain = certificates(&client.certificate)?;
                let own = trust(builder()?, &roots)
                    .with_client_auth_cert(chain, key(&client.key)?)
                    .map_err(|error| Error::config(what, error))?;
                Arc::new(own)
            }
        };
        Ok(Self { own, others })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    sys::file::read_bounded(path, MAX_CONFIG_FILE).map_err(|error| Error::config(path.display(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::config(path.display(), error))?;
    if list.is_empty() { Err(Error::config(path.display(), "holds no certificate")) } else { Ok(list) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| Error::config(path.display(), error))
}

/// Trusts any certificate, which is what an insecure registry is; signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake means.
pub(super) fn cause(error: &std::io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => Cause::NotTls,
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            Cause::Tls("failed to verify certificate: x509: certificate signed by unknown authority".into())
        }
        Some(rustls::Error::InvalidCertificate(reason)) => {
            Cause::Tls(format!("failed to verify certificate: {reason}"))
        }
        Some(other) => Cause::Tls(other.to_string()),
        None => Cause::Tls(error.to_string()),
    }
}
