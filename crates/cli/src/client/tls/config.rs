//! From files to a configuration.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Material;
use crate::error::reason;

/// The machine's own authorities, as Debian, Fedora, openSUSE and Alpine keep them.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The longest file of certificates or of a key, in bytes.
const LIMIT: u64 = 4 << 20;

/// A configuration of these files.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn make(material: &Material) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if material.verify {
        builder.with_root_certificates(roots(material.ca.as_deref())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    };
    match (&material.cert, &material.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let parsed = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|error| format!("could not read a key from {}: {error}", key.display()))?;
            builder.with_client_auth_cert(chain, parsed).map_err(|error| {
                format!("could not use certificate {} with key {}: {error}", cert.display(), key.display())
            })
        }
        (Some(cert), None) => {
            Err(format!("there is no key for certificate {}: give --tlskey", cert.display()))
        }
        (None, Some(key)) => {
            Err(format!("there is no certificate for key {}: give --tlscert", key.display()))
        }
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| {
                format!("could not use the CA certificate in {}: {error}", path.display())
            })?;
        }
        return Ok(roots);
    }
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
    if let Some(path) = named.as_deref().map(Path::new).or_else(system) {
        // of the machine's many, some may be in a form that is not known
        roots.add_parsable_certificates(certificates(path)?);
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("could not read certificates from {}: {error}", path.display()))?;
    if list.is_empty() {
        return Err(format!("could not read certificates from {}: there are none", path.display()));
    }
    Ok(list)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("open {}: {}", path.display(), reason(&error));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Believes every daemon; what it signs must still be signed by the key of the certificate that it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
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
