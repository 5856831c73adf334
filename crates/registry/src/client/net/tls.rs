//! Whom to trust, and who we are, in TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

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

/// The file with the machine's own authorities.
pub(crate) fn system() -> Option<&'static Path> {
    SYSTEM.iter().map(Path::new).find(|path| path.exists())
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
        if let Some(file) = self.file.as_deref().or(system()) {
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
        let own = if files.clients.is_empty() {
            Arc::clone(&others)
        } else {
            let clients = Identities::read(&files.clients, &provider)?;
            Arc::new(trust(builder()?, &roots).with_client_cert_resolver(Arc::new(clients)))
        };
        Ok(Self { own, others })
    }
}

/// Who we may be; the server says which authorities it knows.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl Identities {
    fn read(clients: &[ClientCertificate], provider: &CryptoProvider) -> Result<Self> {
        let read = |client: &ClientCertificate| {
            let chain = certificates(&client.certificate)?;
            CertifiedKey::from_der(chain, key(&client.key)?, provider)
                .map(Arc::new)
                .map_err(|error| Error::config(client.certificate.display(), error))
        };
        clients.iter().map(read).collect::<Result<_>>().map(Self)
    }
}

impl ResolvesClientCert for Identities {
    /// The first that one of the server's authorities has issued, else the first that can be used at all.
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let usable = || self.0.iter().filter(|one| one.key.choose_scheme(schemes).is_some());
        let issued = |one: &&Arc<CertifiedKey>| {
            one.cert.iter().filter_map(|one| issuer(one)).any(|issuer| authorities.contains(&issuer))
        };
        usable().find(issued).or_else(|| usable().next()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The name of who has issued a certificate, in DER (RFC 5280, section 4.1).
fn issuer(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (tag, certificate, _) = element(certificate)?;
    let (inner, mut fields, _) = element(certificate)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // serial number, signature algorithm
    for _ in 0..2 {
        fields = element(fields)?.2;
    }
    let rest = element(fields)?.2;
    fields.get(..fields.len() - rest.len())
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
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
        Some(rustls::Error::InvalidCertificate(reason)) => {
            Cause::Tls(format!("failed to verify certificate: {}", untrusted(reason)))
        }
        Some(rustls::Error::AlertReceived(alert)) => Cause::Tls(told(*alert)),
        Some(other) => Cause::Tls(other.to_string()),
        None => Cause::Tls(error.to_string()),
    }
}

/// What the other side says is wrong, as Go writes it: `remote error: tls: bad certificate`.
pub(super) fn told(alert: AlertDescription) -> String {
    let mut words = String::from("remote error: tls:");
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Why a certificate is not trusted, in Go's words where it has some.
fn untrusted(reason: &CertificateError) -> String {
    use CertificateError as Reason;
    match reason {
        // an authority of that name is known, and it is another one
        Reason::UnknownIssuer | Reason::BadSignature => {
            "x509: certificate signed by unknown authority".into()
        }
        Reason::Expired
        | Reason::ExpiredContext { .. }
        | Reason::NotValidYet
        | Reason::NotValidYetContext { .. } => {
            format!("x509: certificate has expired or is not yet valid: {reason}")
        }
        Reason::NotValidForNameContext { expected, presented } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            format!("x509: certificate is valid for {}, not {}", names.join(", "), expected.to_str())
        }
        other => other.to_string(),
    }
}

/// A certificate's name without its kind: `DnsName("a.example")`, `IpAddress(192.0.2.1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_in_gos_words() {
        assert_eq!(told(AlertDescription::BadCertificate), "remote error: tls: bad certificate");
        assert_eq!(told(AlertDescription::CertificateRequired), "remote error: tls: certificate required");
    }

    #[test]
    fn why_a_certificate_is_not_trusted() {
        let presented = ["IpAddress(192.0.2.1)", "DnsName(\"r.example\")"].map(str::to_owned).to_vec();
        let expected = ServerName::try_from("198.51.100.2").unwrap();
        let text = untrusted(&CertificateError::NotValidForNameContext { expected, presented });
        assert_eq!(text, "x509: certificate is valid for 192.0.2.1, r.example, not 198.51.100.2");
        let text = untrusted(&CertificateError::Expired);
        assert!(text.starts_with("x509: certificate has expired or is not yet valid"), "{text}");
    }

    #[test]
    fn the_issuer_of_a_certificate() {
        let name = [0x30, 0x02, 0x31, 0x00];
        let mut fields = vec![0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x07, 0x30, 0x00];
        fields.extend_from_slice(&name);
        fields.extend_from_slice(&[0x30, 0x00]);
        let mut certificate = vec![0x30, 0x81, fields.len() as u8 + 2, 0x30, fields.len() as u8];
        certificate.extend_from_slice(&fields);
        assert_eq!(issuer(&certificate), Some(name.as_slice()));
        for cut in 0..certificate.len() {
            assert_eq!(issuer(&certificate[..cut]), None, "{cut}");
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
