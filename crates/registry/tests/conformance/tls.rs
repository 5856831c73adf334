//! TLS: a certificate, and one that the client must have.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Reply, Running, connect, registry_with, request};

fn openssl(dir: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a certificate of it for `localhost` and for a client.
fn certificates(dir: &Path) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(dir, &format!("req -x509 {curve} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca"));
    for name in ["server", "client"] {
        std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        openssl(dir, &format!("req {curve} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
            ),
        );
    }
}

fn ask(running: &Running, as_client: bool) -> Result<Reply, std::io::Error> {
    let dir = running.dir.path();
    let certificates = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(dir.join(name)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificates("ca.pem").remove(0)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if as_client {
        let key = PrivateKeyDer::from_pem_file(dir.join("client.key")).unwrap();
        builder.with_client_auth_cert(certificates("client.pem"), key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, connect(running.address));
    stream.write_all(&request("GET", "/v2/", &[], b""))?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(Reply::read(&text))
}

#[test]
fn the_registry_speaks_tls_and_reads_its_certificate_anew() {
    let running = registry_with("[http.tls]\ncertificate = 'server.pem'\nkey = 'server.key'\n", certificates);
    ask(&running, false).unwrap().is(200);
    // another authority and its certificates
    certificates(running.dir.path());
    assert!(ask(&running, false).is_err());
    running.registry.reload(&running.registry.config).unwrap();
    ask(&running, false).unwrap().is(200);
}

#[test]
fn a_client_without_a_certificate_of_the_authority_is_not_spoken_to() {
    let more = "[http.tls]\ncertificate = 'server.pem'\nkey = 'server.key'\nclient_ca = 'ca.pem'\n";
    let running = registry_with(more, certificates);
    assert!(ask(&running, false).is_err());
    ask(&running, true).unwrap().is(200);
}
