//! Who the user is at each registry: `config.json`'s `auths`, and credential helpers, shared with Docker.

mod file;
mod helper;

use std::path::Path;

use api::auth::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
pub(crate) use file::ConfigFile;
use helper::Helper;

/// The name that Docker Hub's login has had since its first protocol.
pub(crate) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What a helper calls the user when the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The logins of one configuration directory.
pub(crate) struct Logins {
    file: ConfigFile,
}

impl Logins {
    /// Reads the configuration; an absent file has no logins.
    ///
    /// # Errors
    /// The file is there and can't be read, or is no JSON object.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Ok(Self { file: ConfigFile::open(directory)? })
    }

    /// The login at a registry; an empty one where there is none.
    ///
    /// # Errors
    /// The credential helper fails.
    pub(crate) fn get(&self, server: &str) -> Result<AuthConfig> {
        if let Some(helper) = self.helper(server) {
            let (username, secret) = helper.get(server)?;
            return Ok(from_helper(server, username, secret));
        }
        Ok(self.plain(server).map_or_else(AuthConfig::default, |(key, entry)| read(key, entry)))
    }

    /// Keeps a login, in the credential helper if there is one. Returns where a password lies unprotected, if it does.
    ///
    /// # Errors
    /// The helper or the file refuses.
    pub(crate) fn store(&mut self, server: &str, auth: &AuthConfig) -> Result<Option<String>> {
        if let Some(helper) = self.helper(server) {
            let token = !auth.identitytoken.is_empty();
            let user = if token { TOKEN_USER } else { &auth.username };
            helper.store(server, user, if token { &auth.identitytoken } else { &auth.password })?;
            // The entry tells other programs that there is a login, as Docker writes it.
            self.entry(server, json!({}));
            self.file.save()?;
            return Ok(None);
        }
        let mut entry = Map::new();
        if auth.identitytoken.is_empty() {
            let pair = format!("{}:{}", auth.username, auth.password);
            entry.insert("auth".into(), STANDARD.encode(pair).into());
        } else {
            // The user's name is kept beside, as Docker does.
            entry.insert("auth".into(), STANDARD.encode(format!("{}:", auth.username)).into());
            entry.insert("identitytoken".into(), auth.identitytoken.clone().into());
        }
        let entry = Value::from(entry);
        // Docker warns of a password that was not there before.
        let warned =
            auth.password.is_empty() || self.auths().and_then(|auths| auths.get(server)) == Some(&entry);
        self.entry(server, entry);
        self.file.save()?;
        Ok((!warned).then(|| self.file.path().display().to_string()))
    }

    /// Forgets a login. One that is not there is forgotten already.
    ///
    /// # Errors
    /// The helper or the file refuses.
    pub(crate) fn erase(&mut self, server: &str) -> Result<()> {
        let erased = self.helper(server).map_or(Ok(()), |helper| helper.erase(server));
        let auths = self.file.root.get_mut("auths").and_then(Value::as_object_mut);
        if auths.is_some_and(|auths| auths.remove(server).is_some()) {
            self.file.save()?;
        }
        erased
    }

    /// The helper that keeps a registry's login: its own, else the general one.
    fn helper(&self, server: &str) -> Option<Helper> {
        let own = self.object("credHelpers").and_then(|helpers| {
            let host = host_of(server);
            helpers.get(server).or_else(|| helpers.get(host))?.as_str()
        });
        own.or_else(|| self.text("credsStore")).filter(|name| !name.is_empty()).map(Helper::new)
    }

    /// The entry of a registry in the file, under whatever form of its name.
    fn plain(&self, server: &str) -> Option<(&String, &Value)> {
        let auths = self.auths()?;
        let exact = auths.get_key_value(server).filter(|(_, entry)| !entry.is_null());
        exact.or_else(|| auths.iter().find(|(key, _)| host_of(key) == host_of(server)))
    }

    fn auths(&self) -> Option<&Map<String, Value>> {
        self.object("auths")
    }

    fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        self.file.root.get(key)?.as_object()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.file.root.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn entry(&mut self, server: &str, entry: Value) {
        let auths = self.file.root.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(server.to_owned(), entry);
        }
    }
}

/// The registry's host in an address of any form: `https://index.docker.io/v1/` is `index.docker.io`.
pub(crate) fn host_of(address: &str) -> &str {
    let address =
        address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    address.split('/').next().unwrap_or(address)
}

/// The name that logins for images of this domain have.
pub(crate) fn server_of(domain: &str) -> &str {
    if matches!(domain, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        DOCKER_HUB
    } else {
        domain
    }
}

/// The value of `X-Registry-Auth` for a reference.
///
/// # Errors
/// The configuration can't be read, or its credential helper fails.
pub(crate) fn header_for(directory: &Path, reference: &oci::Reference) -> Result<String> {
    header_of(directory, reference.domain())
}

/// The value of `X-Registry-Auth` for a registry.
///
/// # Errors
/// The configuration can't be read, or its credential helper fails.
pub(crate) fn header_of(directory: &Path, domain: &str) -> Result<String> {
    let auth = Logins::open(directory)?.get(server_of(domain))?;
    Ok(format!("X-Registry-Auth: {}", auth.to_header()))
}

fn from_helper(server: &str, username: String, secret: String) -> AuthConfig {
    let mut auth = AuthConfig { serveraddress: server.to_owned(), ..AuthConfig::default() };
    if username == TOKEN_USER {
        auth.identitytoken = secret;
    } else {
        (auth.username, auth.password) = (username, secret);
    }
    auth
}

/// One entry of `auths`.
fn read(server: &str, entry: &Value) -> AuthConfig {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut auth = AuthConfig {
        username: text("username"),
        password: text("password"),
        serveraddress: server.to_owned(),
        identitytoken: text("identitytoken"),
        registrytoken: text("registrytoken"),
        ..AuthConfig::default()
    };
    if let Some((username, password)) = decode(&text("auth")) {
        (auth.username, auth.password) = (username, password);
    }
    auth
}

/// `base64(user:password)`; Docker's first versions padded the password with zeros.
fn decode(auth: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_matches('\0').to_owned()))
}

/// For what is not JSON where JSON must be.
fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    Error::said(format!("{}: {error}: mend the file, or move it away", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(config: &str) -> (tempfile::TempDir, Logins) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let logins = Logins::open(dir.path()).unwrap();
        (dir, logins)
    }

    fn user(name: &str, password: &str) -> AuthConfig {
        AuthConfig { username: name.into(), password: password.into(), ..AuthConfig::default() }
    }

    #[test]
    fn a_login_is_found_under_every_form_of_its_name() {
        let (_dir, logins) = logins(r#"{"auths": {"https://r.example/v2/": {"auth": "dTpwOnE="}}}"#);
        let auth = logins.get("r.example").unwrap();
        assert_eq!((auth.username.as_str(), auth.password.as_str()), ("u", "p:q"));
        assert_eq!(logins.get("other").unwrap(), AuthConfig::default());
        assert_eq!(server_of("docker.io"), DOCKER_HUB);
        assert_eq!(host_of(DOCKER_HUB), "index.docker.io");
    }

    #[test]
    fn what_is_stored_is_read_and_the_rest_of_the_file_is_kept() {
        let (dir, mut logins) = logins(r#"{"x": {"y": [1]}, "auths": {"a": {"auth": "dTpw"}}}"#);
        let place = logins.store("b:5000", &user("n", "s")).unwrap();
        assert_eq!(place.unwrap(), dir.path().join("config.json").display().to_string());
        assert_eq!(logins.store("b:5000", &user("n", "s")).unwrap(), None, "nothing new lies there");
        let again = Logins::open(dir.path()).unwrap();
        assert_eq!(again.get("b:5000").unwrap().password, "s");
        assert_eq!(again.file.root["x"], json!({"y": [1]}));
        logins.erase("a").unwrap();
        logins.erase("a").unwrap();
        assert_eq!(Logins::open(dir.path()).unwrap().get("a").unwrap(), AuthConfig::default());
    }

    #[test]
    fn an_identity_token_takes_the_password_s_place() {
        let (dir, mut logins) = logins("{}");
        let auth = AuthConfig { username: "u".into(), identitytoken: "t".into(), ..AuthConfig::default() };
        logins.store("r", &auth).unwrap();
        let read = Logins::open(dir.path()).unwrap().get("r").unwrap();
        assert_eq!(
            (read.username.as_str(), read.password.as_str(), read.identitytoken.as_str()),
            ("u", "", "t")
        );
    }

    #[test]
    fn a_broken_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, "{").unwrap();
        let error = Logins::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("config.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }
}
