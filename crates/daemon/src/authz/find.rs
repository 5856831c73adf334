//! Where plugins are: sockets and specifications, at Docker's places and at ours.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Directories of sockets beside `plugins` of the daemon's own.
const SOCKETS: [&str; 1] = ["/run/docker/plugins"];
/// Directories of specifications.
const SPECS: [&str; 4] =
    ["/etc/docker/plugins", "/usr/lib/docker/plugins", "/etc/berth/plugins", "/usr/lib/berth/plugins"];
/// The longest specification, in bytes.
const LIMIT: usize = 64 << 10;

/// Where a plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
}

/// A specification as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    addr: String,
    #[serde(rename = "TLSConfig", default)]
    tls: Option<serde_json::Value>,
}

/// Finds a plugin: `NAME.sock` or `NAME/NAME.sock`, then `NAME.spec` and `NAME.json`, bare or in a directory `NAME`.
pub(super) fn find(name: &str, exec_root: &Path) -> Result<Address, String> {
    find_in(name, &[exec_root.join("plugins"), SOCKETS[0].into()], &SPECS.map(PathBuf::from))
}

fn find_in(name: &str, sockets: &[PathBuf], specs: &[PathBuf]) -> Result<Address, String> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err("has a name that no plugin can have".into());
    }
    let both = |dir: &PathBuf, file: String| [dir.join(&file), dir.join(name).join(file)];
    for dir in sockets {
        for path in both(dir, format!("{name}.sock")) {
            if path.exists() {
                return Ok(Address::Unix(path));
            }
        }
    }
    for dir in specs {
        for (ending, read) in [("spec", spec as fn(&str) -> _), ("json", json)] {
            for path in both(dir, format!("{name}.{ending}")) {
                match sys::file::read_bounded(&path, LIMIT) {
                    Ok(bytes) => {
                        let text = String::from_utf8_lossy(&bytes);
                        return read(&text)
                            .map_err(|error| format!("has a wrong {}: {error}", path.display()));
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(format!("can't be read of: {}: {error}", path.display())),
                }
            }
        }
    }
    let places: Vec<String> = sockets.iter().chain(specs).map(|dir| dir.display().to_string()).collect();
    Err(format!("not found (looked in {})", places.join(", ")))
}

fn spec(text: &str) -> Result<Address, String> {
    address(text.trim())
}

fn json(text: &str) -> Result<Address, String> {
    let spec: Spec = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if spec.tls.is_some_and(|tls| !tls.is_null()) {
        return Err("TLSConfig is not supported by Berth: let the plugin listen on a unix socket".into());
    }
    address(&spec.addr)
}

fn address(text: &str) -> Result<Address, String> {
    match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
        Some(("tcp" | "http", host)) if !host.is_empty() => {
            Ok(Address::Tcp(host.trim_end_matches('/').to_owned()))
        }
        _ => Err(format!("invalid address {text:?}: must be unix:///PATH or tcp://HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let find = |name: &str| find_in(name, &[at("run")], &[at("etc")]);
        assert!(find("x").unwrap_err().starts_with("not found"));
        std::fs::create_dir_all(at("etc/y")).unwrap();
        std::fs::write(at("etc/x.spec"), "tcp://127.0.0.1:1\n").unwrap();
        assert_eq!(find("x"), Ok(Address::Tcp("127.0.0.1:1".into())));
        std::fs::create_dir_all(at("run/x")).unwrap();
        std::fs::write(at("run/x/x.sock"), "").unwrap();
        assert_eq!(find("x"), Ok(Address::Unix(at("run/x/x.sock"))));
        std::fs::write(at("etc/y/y.json"), r#"{"Name":"y","Addr":"unix:///y"}"#).unwrap();
        assert_eq!(find("y"), Ok(Address::Unix("/y".into())));
        std::fs::write(at("etc/y/y.json"), r#"{"Addr":"https://y","TLSConfig":{}}"#).unwrap();
        assert!(find("y").unwrap_err().contains("TLSConfig"));
        for name in ["", "../x", ".x"] {
            assert!(find(name).is_err(), "{name}");
        }
    }
}
