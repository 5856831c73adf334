//! TLS over a descriptor that does not block.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::settings::Tls;

/// The machine's own authorities, as Debian, Fedora and Alpine keep them.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Our end of an encrypted connection.
pub(super) struct Session(ClientConnection);

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Session {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// A file can't be read, or holds nothing that fits.
    pub(super) fn begin(trust: &Tls, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        ClientConnection::new(Arc::new(config(trust)?), name).map(Self).map_err(invalid)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// What is to be sent now.
    pub(super) fn greetings(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out)?;
        }
        Ok(out)
    }

    /// Encrypt as much as fits; the rest of `bytes`.
    pub(super) fn encrypt<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> io::Result<&'a [u8]> {
        let count = self.0.writer().write(bytes)?;
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(&bytes[count..])
    }

    /// Say goodbye.
    pub(super) fn farewell(&mut self) -> io::Result<Vec<u8>> {
        self.0.send_close_notify();
        self.greetings()
    }

    /// Take what the server has sent.
    pub(super) fn take(&mut self, fd: &OwnedFd) -> io::Result<()> {
        let mut buffer = [0; 4096];
        // its limit holds back a server that sends without end
        while self.0.wants_read() {
            let count = match rustix::net::recv(fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(()),
                Ok((count, _)) => count,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                self.0.read_tls(&mut rest)?;
                self.0.process_new_packets().map_err(invalid)?;
            }
        }
        Ok(())
    }

    /// What it means; `WouldBlock` when more has to come.
    pub(super) fn decrypted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.reader().read(buffer)
    }
}

fn config(trust: &Tls) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(invalid)?;
    let builder = if trust.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(authorities(trust.ca.as_deref())?)
    };
    let (Some(certificate), Some(key)) = (&trust.certificate, &trust.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| about(key, &error))?;
    builder.with_client_auth_cert(certificates(certificate)?, key).map_err(invalid)
}

fn about(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|error| about(path, &error))
}

/// The machine's authorities and the user's own, as in Docker.
fn authorities(own: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(system) = SYSTEM.iter().map(Path::new).find(|path| path.exists()) {
        roots.add_parsable_certificates(certificates(system)?);
    }
    for certificate in own.map(certificates).transpose()?.into_iter().flatten() {
        roots.add(certificate).map_err(invalid)?;
    }
    Ok(roots)
}

/// Trusts any certificate, which is what `syslog-tls-skip-verify` asks for; signatures are still checked.
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
