//! A private certificate authority, made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::programs;

/// The authority, with its folder.
pub struct Authority {
    dir: tempfile::TempDir,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let authority = Self { dir: tempfile::Builder::new().prefix("berth-ca-").tempdir()? };
        crate::user::give(authority.dir.path())?;
        authority.openssl(&format!("req -x509 {KEY} -days 2 -subj /CN=root -keyout ca.key -out ca.pem"))?;
        Ok(authority)
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for addresses or names (`IP:127.0.0.1`, `DNS:…`), good for both ends.
    pub fn issue(&self, name: &str, alternatives: &str, days: i32) -> Result<Pair> {
        let extensions = self.dir.path().join(format!("{name}.ext"));
        std::fs::write(
            &extensions,
            format!("subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n"),
        )?;
        self.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"))?;
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile {name}.ext -out {name}.pem"
        ))?;
        let place = |kind: &str| self.dir.path().join(format!("{name}.{kind}"));
        // nobody else may read it
        crate::user::give(&place("key"))?;
        Ok(Pair { cert: place("pem"), key: place("key") })
    }

    /// The same with a certificate that is no longer good.
    pub fn issue_late(&self, name: &str, alternatives: &str) -> Result<Pair> {
        let pair = self.issue(name, alternatives, 2)?;
        let conf = "[ca]\ndefault_ca=late\n[late]\ndatabase=late.index\nrand_serial=yes\nnew_certs_dir=.\n\
                    default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n";
        std::fs::write(self.dir.path().join("late.conf"), conf)?;
        std::fs::write(self.dir.path().join("late.index"), "")?;
        self.openssl(&format!(
            "ca -batch -notext -config late.conf -cert ca.pem -keyfile ca.key -in {name}.csr -out {name}.pem \
             -startdate 20200101000000Z -enddate 20200201000000Z -extfile {name}.ext"
        ))?;
        Ok(pair)
    }

    /// A folder as `certs.d` has them for a host, made in `place`.
    pub fn folder(&self, place: &Path, client: Option<&Pair>) -> Result<PathBuf> {
        std::fs::create_dir_all(place)?;
        std::fs::copy(self.certificate(), place.join("ca.crt"))?;
        if let Some(pair) = client {
            std::fs::copy(&pair.cert, place.join("client.cert"))?;
            std::fs::copy(&pair.key, place.join("client.key"))?;
        }
        Ok(place.to_owned())
    }

    fn openssl(&self, line: &str) -> Result<()> {
        openssl(self.dir.path(), line)
    }
}

/// Runs openssl with the words of a line.
pub(super) fn openssl(dir: &Path, line: &str) -> Result<()> {
    let mut command = Command::new("/usr/bin/openssl");
    programs::run(command.args(line.split_ascii_whitespace()).current_dir(dir))?.ok().map(drop)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load(pair: &Pair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let certificates = CertificateDer::pem_file_iter(&pair.cert)?.collect::<Result<_, _>>()?;
    Ok((certificates, PrivateKeyDer::from_pem_file(&pair.key)?))
}

/// The server's end for servers of our own.
pub fn serving(pair: &Pair) -> Result<Arc<ServerConfig>> {
    let (certificates, key) = load(pair)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    Ok(Arc::new(config))
}

/// The client's end by a folder as `certs.d` has them.
pub fn asking(folder: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.crt")).context("ca.crt")?)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let pair = Pair { cert: folder.join("client.cert"), key: folder.join("client.key") };
    let config = if pair.cert.exists() {
        let (certificates, key) = load(&pair)?;
        config.with_client_auth_cert(certificates, key)?
    } else {
        config.with_no_client_auth()
    };
    Ok(Arc::new(config))
}
