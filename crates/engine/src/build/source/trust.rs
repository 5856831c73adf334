//! Whom git trusts: what `certs.d` has for the host, as for a registry there.

use std::fs;
use std::path::{Path, PathBuf};

use ::build::{Error, Result};
use registry::client::Client;

/// Bytes of one file of authorities, at most: the machine's own are 200 KiB.
const MAX_FILE: usize = 4 << 20;
/// git's settings for a server (`https://HOST[:PORT]`) with certificates of its own; none for any other. What git reads
/// is written to `file`.
///
/// # Errors
/// The files are not what they should be.
pub(super) fn settings(client: &Client, origin: &str, file: &Path) -> Result<Vec<(String, String)>> {
    let Some(authority) = origin.strip_prefix("https://") else { return Ok(Vec::new()) };
    let failed = |error: registry::client::Error| Error::Invalid(error.to_string());
    let found = client.certificates(authority).map_err(failed)?;
    let mut settings = Vec::new();
    let mut set = |name: &str, path: &Path| {
        // git is started in another directory
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        settings.push((format!("http.{origin}/.{name}"), path.display().to_string()));
    };
    if !found.authorities.is_empty() {
        // git takes one file instead of the machine's: a server may change to a certificate that everybody trusts
        let machine = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).or(found.machine);
        let mut all = Vec::new();
        for path in found.authorities.iter().chain(&machine) {
            let text = sys::file::read_bounded(path, MAX_FILE);
            all.extend(text.map_err(|error| Error::path(path.display().to_string(), error))?);
            all.push(b'\n');
        }
        fs::write(file, all).map_err(|error| Error::because("write git's authorities", error))?;
        set("sslCAInfo", file);
    }
    if let Some((certificate, key)) = &found.client {
        set("sslCert", certificate);
        set("sslKey", key);
        // git would show it wherever it is led
        settings.push(("http.followRedirects".to_owned(), "false".to_owned()));
    }
    Ok(settings)
}
