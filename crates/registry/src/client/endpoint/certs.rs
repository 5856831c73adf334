//! Docker's `certs.d/<host>[:port]/`: `*.crt` are authorities, `*.cert` with `*.key` are who we are.

use std::path::{Path, PathBuf};

use crate::client::error::{Error, Result};
use crate::client::net::{ClientCertificate, TlsFiles};

/// Files of one directory that are looked at.
const MAX_FILES: usize = 256;

/// What lies in the directory; nothing when it is not there.
///
/// # Errors
/// In Docker's words: a certificate without its key, or a key without its certificate.
pub(super) fn read(directory: &Path) -> Result<TlsFiles> {
    let mut names: Vec<PathBuf> = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(TlsFiles::default()),
        Err(error) => return Err(Error::config(directory.display(), error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Error::config(directory.display(), error))?;
        if names.len() == MAX_FILES {
            return Err(Error::config(directory.display(), format!("has more than {MAX_FILES} files")));
        }
        names.push(entry.path());
    }
    names.sort();
    let mut files = TlsFiles::default();
    for path in &names {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => files.authorities.push(path.clone()),
            Some("cert") => {
                let key = path.with_extension("key");
                if !names.contains(&key) {
                    let reason = format!(
                        "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                        file_name(&key),
                        file_name(path)
                    );
                    return Err(Error::config(directory.display(), reason));
                }
                files.clients.push(ClientCertificate { certificate: path.clone(), key });
            }
            Some("key") => {
                let certificate = path.with_extension("cert");
                if !names.contains(&certificate) {
                    let reason = format!(
                        "missing client certificate {} for key {}",
                        file_name(&certificate),
                        file_name(path)
                    );
                    return Err(Error::config(directory.display(), reason));
                }
            }
            _ => {}
        }
    }
    Ok(files)
}

pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_authorities() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert_eq!(read(&at("absent")).unwrap(), TlsFiles::default());
        for name in ["ca.crt", "b.cert", "b.key", "a.cert", "a.key", "notes.txt"] {
            std::fs::write(at(name), "").unwrap();
        }
        let files = read(directory.path()).unwrap();
        assert_eq!(files.authorities, [at("ca.crt")]);
        let pair = |name: &str| ClientCertificate {
            certificate: at(&format!("{name}.cert")),
            key: at(&format!("{name}.key")),
        };
        assert_eq!(files.clients, [pair("a"), pair("b")]);
        std::fs::remove_file(at("a.key")).unwrap();
        let text = read(directory.path()).unwrap_err().to_string();
        assert!(text.contains("missing key a.key for client certificate a.cert"), "{text}");
        std::fs::remove_file(at("a.cert")).unwrap();
        std::fs::remove_file(at("b.cert")).unwrap();
        let text = read(directory.path()).unwrap_err().to_string();
        assert!(text.contains("missing client certificate b.cert for key b.key"), "{text}");
    }
}
