//! Who is asking, and what may they?
//!
//! Without `[auth]` everybody may everything. With passwords, rights come from the configuration's `[[rights]]`; with tokens,
//! from what the token says. A caller is known before anything is looked up, so that what is not theirs looks the same
//! whether it is there or not.

pub(crate) mod glob;
mod htpasswd;
mod rights;
mod token;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap, HeaderName};
use jiff::Timestamp;

use super::config::{self, Config};
use super::error::{Code, Error, Result};
use super::name::Name;
use htpasswd::Htpasswd;
use rights::Rules;
use token::{Issuer, Keys};

pub(crate) use token::Access;

/// Why nobody could be let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file that the configuration names can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("{}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl AuthError {
    pub(crate) fn wrong(path: &Path, reason: impl Into<String>) -> Self {
        Self::Wrong { path: path.into(), reason: reason.into() }
    }
}

/// What may be done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Fetch and list.
    Pull,
    /// Upload, mount and put.
    Push,
    /// Delete manifests, tags and blobs.
    Delete,
}

impl Action {
    /// The word for it in tokens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// What a request needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need<'a> {
    /// To be somebody.
    Base,
    /// To see the catalog.
    Catalog,
    /// All of these on a repository.
    Repository(&'a Name, &'a [Action]),
}

/// How callers are told apart.
#[derive(Debug)]
pub(crate) struct Auth {
    realm: String,
    htpasswd: Option<Htpasswd>,
    tokens: Option<Tokens>,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Tokens {
    service: String,
    issuer: String,
    realm: Option<String>,
    keys: Keys,
    own: Option<Issuer>,
}

/// Who is asking.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    user: Option<String>,
    grant: Grant,
}

#[derive(Clone, Debug)]
enum Grant {
    /// Nobody is asked.
    All,
    /// By the configuration's rights.
    Rules(Arc<Rules>),
    /// By a token; of our own, its bearer's rights are known beyond it.
    Token(Arc<[Access]>, Option<Arc<Rules>>),
}

impl Auth {
    /// Reads the files that the configuration names.
    pub(crate) fn new(config: &Config) -> Result<Self, AuthError> {
        let htpasswd = config.auth.htpasswd.as_ref().map(|file| Htpasswd::read(&file.path)).transpose()?;
        let tokens = config.auth.token.as_ref().map(Tokens::new).transpose()?;
        let realm = config.auth.realm.clone().unwrap_or_else(|| "registry".into());
        Ok(Self { realm, htpasswd, tokens, rules: Arc::new(Rules::new(&config.rights)) })
    }

    /// Who makes a request with these headers. Who shows nothing is nobody in particular.
    ///
    /// # Errors
    /// `UNAUTHORIZED` when what is shown is not good.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller> {
        if self.htpasswd.is_none() && self.tokens.is_none() {
            return Ok(Caller { user: None, grant: Grant::All });
        }
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, value)) = shown.and_then(|text| text.split_once(' ')) else {
            return Ok(Caller { user: None, grant: Grant::Rules(Arc::clone(&self.rules)) });
        };
        if scheme.eq_ignore_ascii_case("bearer") && self.tokens.is_some() {
            return self.bearer(value.trim());
        }
        let user = self.basic(scheme, value).await?;
        Ok(Caller { user: Some(user), grant: Grant::Rules(Arc::clone(&self.rules)) })
    }

    /// The user whose name and password are shown.
    ///
    /// # Errors
    /// `UNAUTHORIZED`
    async fn basic(&self, scheme: &str, value: &str) -> Result<String> {
        let wrong = || Error::new(Code::Unauthorized, "incorrect username or password");
        let Some(users) = self.htpasswd.as_ref().filter(|_| scheme.eq_ignore_ascii_case("basic")) else {
            return Err(Error::new(Code::Unauthorized, "authentication of this kind is not supported here"));
        };
        let decoded = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(wrong)?;
        if users.check(user, password).await? { Ok(user.into()) } else { Err(wrong()) }
    }

    fn bearer(&self, token: &str) -> Result<Caller> {
        let Some(tokens) = &self.tokens else { return Err(Error::new(Code::Unauthorized, "no tokens here")) };
        let now = Timestamp::now().as_second();
        let claims = token::verify(token, &tokens.keys, &tokens.issuer, &tokens.service, now)
            .map_err(|refused| Error::new(Code::Unauthorized, refused.to_string()))?;
        let rules = tokens.own.as_ref().map(|_| Arc::clone(&self.rules));
        Ok(Caller {
            user: Some(claims.sub).filter(|user| !user.is_empty()),
            grant: Grant::Token(claims.access.unwrap_or_default().into(), rules),
        })
    }

    /// Lets a caller do what it needs to, or tells it how to become somebody who may.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, `DENIED`
    pub(crate) fn allow(&self, caller: &Caller, need: Need<'_>, origin: &str) -> Result<()> {
        let is_allowed = match (&caller.grant, need) {
            (Grant::All, _) | (Grant::Token(..), Need::Base) => true,
            // also who may pull without signing in learns here how to sign in: docker asks nowhere else
            (Grant::Rules(_), Need::Base | Need::Catalog) => caller.user.is_some(),
            (Grant::Token(access, _), Need::Catalog) => {
                access.iter().any(|one| one.kind == "registry" && one.name == "catalog" && one.gives("*"))
            }
            (_, Need::Repository(name, actions)) => actions.iter().all(|action| caller.may(name, *action)),
        };
        if is_allowed {
            return Ok(());
        }
        // another password does not help whoever is known; another token may
        if matches!(caller.grant, Grant::Rules(_)) && caller.user.is_some() {
            return Err(Error::new(Code::Denied, "requested access to the resource is denied"));
        }
        let error = Error::new(Code::Unauthorized, "authentication required");
        let insufficient = matches!(caller.grant, Grant::Token(..)).then_some("insufficient_scope");
        Err(self.challenge(error, need, origin, insufficient))
    }

    /// With the word how to sign in.
    pub(crate) fn challenge(
        &self,
        error: Error,
        need: Need<'_>,
        origin: &str,
        reason: Option<&str>,
    ) -> Error {
        let Some(tokens) = &self.tokens else {
            return error
                .header(header::WWW_AUTHENTICATE, format!("Basic realm=\"{}\"", quoted(&self.realm)));
        };
        let realm = tokens.realm.clone().unwrap_or_else(|| format!("{origin}/token"));
        let mut text = format!("Bearer realm=\"{}\",service=\"{}\"", quoted(&realm), quoted(&tokens.service));
        match need {
            Need::Base => {}
            Need::Catalog => text.push_str(",scope=\"registry:catalog:*\""),
            Need::Repository(name, actions) => {
                // whoever pushes looks before
                let pull = (actions == [Action::Push]).then_some("pull");
                let words: Vec<&str> =
                    pull.into_iter().chain(actions.iter().map(|one| one.as_str())).collect();
                text.push_str(&format!(",scope=\"repository:{name}:{}\"", words.join(",")));
            }
        }
        if let Some(reason) = reason {
            text.push_str(&format!(",error=\"{reason}\""));
        }
        error.header(header::WWW_AUTHENTICATE, text)
    }

    /// A token for who shows these headers, of what is asked as far as it is theirs; and how many seconds it is good.
    ///
    /// # Errors
    /// When there are no tokens here, or the password is wrong.
    pub(crate) async fn issue(
        &self,
        shown: Shown<'_>,
        service: Option<&str>,
        asked: Vec<Access>,
    ) -> Result<(String, i64)> {
        let nothing = || Error::new(Code::NotFound, "this registry issues no tokens");
        let tokens = self.tokens.as_ref().ok_or_else(nothing)?;
        let own = tokens.own.as_ref().ok_or_else(nothing)?;
        if service.is_some_and(|service| service != tokens.service) {
            return Err(Error::new(
                Code::Unauthorized,
                format!("tokens are issued for {:?} only", tokens.service),
            ));
        }
        let user = self.user(shown).await.map_err(|error| self.prompt(error))?;
        let granted = asked.into_iter().filter_map(|one| self.granted(user.as_deref(), one)).collect();
        let token = own.sign(user.as_deref().unwrap_or_default(), granted, Timestamp::now().as_second());
        let token = token.map_err(|error| {
            tracing::error!("{error}");
            Error::new(Code::Unknown, "the token can't be signed")
        })?;
        Ok((token, own.lifetime))
    }

    async fn user(&self, shown: Shown<'_>) -> Result<Option<String>> {
        match shown {
            Shown::Nothing => Ok(None),
            Shown::Header(text) => {
                let (scheme, value) = text.split_once(' ').unwrap_or((text, ""));
                self.basic(scheme, value).await.map(Some)
            }
            Shown::Password(user, password) => {
                let value = STANDARD.encode(format!("{user}:{password}"));
                self.basic("basic", &value).await.map(Some)
            }
        }
    }

    /// With the word that a password is wanted.
    pub(crate) fn prompt(&self, error: Error) -> Error {
        if error.code != Code::Unauthorized {
            return error;
        }
        error.header(header::WWW_AUTHENTICATE, format!("Basic realm=\"{}\"", quoted(&self.realm)))
    }

    /// As much of what is asked as the user may.
    fn granted(&self, user: Option<&str>, mut asked: Access) -> Option<Access> {
        match asked.kind.as_str() {
            "registry" if asked.name == "catalog" && user.is_some() => {
                asked.actions.retain(|action| action == "*")
            }
            "repository" => {
                let name: Name = asked.name.parse().ok()?;
                let all = asked.gives("*");
                asked.actions = [Action::Pull, Action::Push, Action::Delete]
                    .into_iter()
                    .filter(|action| all || asked.gives(action.as_str()))
                    .filter(|action| self.rules.allow(user, &name, *action))
                    .map(|action| action.as_str().to_owned())
                    .collect();
            }
            _ => return None,
        }
        (!asked.actions.is_empty()).then_some(asked)
    }
}

/// What somebody shows who wants a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    /// Nothing: a token for what everybody may.
    Nothing,
    /// An `Authorization` header.
    Header(&'a str),
    /// Name and password.
    Password(&'a str, &'a str),
}

impl Access {
    fn gives(&self, action: &str) -> bool {
        self.actions.iter().any(|one| one == action)
    }
}

impl Tokens {
    fn new(config: &config::Token) -> Result<Self, AuthError> {
        let mut keys = Keys::default();
        for path in &config.keys {
            keys.add_pem(path)?;
        }
        for path in &config.jwks {
            keys.add_jwks(path)?;
        }
        let own = config.issue.as_ref().map(|issue| Issuer::new(config, issue)).transpose()?;
        if let Some(own) = &own {
            keys.add(own.key());
        }
        Ok(Self {
            service: config.service.clone(),
            issuer: config.issuer.clone(),
            realm: config.realm.clone(),
            keys,
            own,
        })
    }
}

impl Caller {
    /// Who has not been asked, and may nothing.
    pub(crate) fn nobody() -> Self {
        Self { user: None, grant: Grant::Token(Arc::new([]), None) }
    }

    /// The user's name; none when nobody signed in.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether they may.
    pub(crate) fn may(&self, name: &Name, action: Action) -> bool {
        match &self.grant {
            Grant::All => true,
            Grant::Rules(rules) => rules.allow(self.user(), name, action),
            Grant::Token(access, _) => access.iter().any(|one| {
                one.kind == "repository"
                    && one.name == name.as_str()
                    && (one.gives(action.as_str()) || one.gives("*"))
            }),
        }
    }

    /// Whether a listing of everything shows them a repository: a token for the catalog shows all, unless we know more of
    /// its bearer.
    pub(crate) fn sees(&self, name: &Name) -> bool {
        match &self.grant {
            Grant::Token(_, None) => true,
            Grant::Token(_, Some(rules)) => rules.allow(self.user(), name, Action::Pull),
            _ => self.may(name, Action::Pull),
        }
    }
}

/// A text between quotation marks in a header.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
}

/// Where the client thinks that it talks to, as the beginning of a URL.
pub(crate) fn origin(headers: &HeaderMap, tls: bool) -> String {
    const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // behind something that ends TLS
    let secure = tls || text(&FORWARDED).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let host = text(&header::HOST).unwrap_or("localhost");
    format!("{}://{host}", if secure { "https" } else { "http" })
}
