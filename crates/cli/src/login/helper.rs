//! Credential helpers: `docker-credential-NAME`, the user's own program, with JSON on its standard input and output.
//! See <https://github.com/docker/docker-credential-helpers>.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::{Error, Result, reason};

/// What a helper says when it has no such login: not a failure.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The longest answer.
const LIMIT: u64 = 4 << 20;

/// One helper.
pub(super) struct Helper {
    program: String,
}

/// Its answer to `get`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Secret {
    username: String,
    secret: String,
}

impl Helper {
    pub(super) fn new(name: &str) -> Self {
        Self { program: format!("docker-credential-{name}") }
    }

    /// User and secret at a registry; both are empty where there is no login.
    pub(super) fn get(&self, server: &str) -> Result<(String, String)> {
        let answer = match self.ask("get", server.as_bytes())? {
            Ok(answer) => answer,
            Err(text) if text == NOT_FOUND => return Ok(Default::default()),
            Err(text) => return Err(self.failed("getting credentials", &text)),
        };
        let secret: Secret = serde_json::from_slice(&answer)
            .map_err(|error| self.failed("getting credentials", &error.to_string()))?;
        Ok((secret.username, secret.secret))
    }

    /// Keeps a login.
    pub(super) fn store(&self, server: &str, username: &str, secret: &str) -> Result<()> {
        let input = serde_json::json!({"ServerURL": server, "Username": username, "Secret": secret});
        self.ask("store", input.to_string().as_bytes())?
            .map(drop)
            .map_err(|text| self.failed("storing credentials", &text))
    }

    /// Forgets a login.
    pub(super) fn erase(&self, server: &str) -> Result<()> {
        match self.ask("erase", server.as_bytes())? {
            Ok(_) => Ok(()),
            Err(text) if text == NOT_FOUND => Ok(()),
            Err(text) => Err(self.failed("erasing credentials", &text)),
        }
    }

    /// Runs it; the inner error is what it printed before it failed.
    fn ask(&self, verb: &str, input: &[u8]) -> Result<std::result::Result<Vec<u8>, String>> {
        let broken = |error: io::Error| self.failed(&format!("running {verb}"), &reason(&error));
        let mut child = Command::new(&self.program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    self.failed(&format!("running {verb}"), "executable file not found in $PATH")
                }
                _ => broken(error),
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // Not every helper reads what it doesn't need.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(broken(error)),
                _ => {}
            }
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LIMIT).read_to_end(&mut output).map_err(broken)?;
        }
        if child.wait().map_err(broken)?.success() {
            return Ok(Ok(output));
        }
        Ok(Err(String::from_utf8_lossy(&output).trim().to_owned()))
    }

    fn failed(&self, doing: &str, text: &str) -> Error {
        Error::said(format!("error {doing} - err: {text}, out: `{}`", self.program))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A helper that keeps one file a registry.
    const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
case $1 in
store) cat > kept;;
get) read -r server; test -s kept || { echo credentials not found in native keychain; exit 1; }
     test "$server" = r || { echo broken; exit 1; }
     cat kept;;
erase) rm -f kept;;
esac
"#;

    fn helper() -> (tempfile::TempDir, Helper) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker-credential-x");
        std::fs::write(&path, SCRIPT).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = path.to_str().unwrap().to_owned();
        (dir, Helper { program })
    }

    #[test]
    fn the_verbs() {
        let (_dir, helper) = helper();
        assert_eq!(helper.get("r").unwrap(), Default::default());
        helper.store("r", "u", "s \"q\"").unwrap();
        assert_eq!(helper.get("r").unwrap(), ("u".to_owned(), "s \"q\"".to_owned()));
        assert!(helper.get("other").unwrap_err().to_string().contains("broken"));
        helper.erase("r").unwrap();
        assert_eq!(helper.get("r").unwrap(), Default::default());
    }

    #[test]
    fn an_absent_program_is_named() {
        let error = Helper::new("no-such-thing").get("r").unwrap_err().to_string();
        assert!(error.contains("docker-credential-no-such-thing") && error.contains("not found"), "{error}");
    }
}
