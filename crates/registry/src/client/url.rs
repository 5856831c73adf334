//! The URLs of registries: `http` and `https` only, without user information and fragments (RFC 3986).

use std::fmt;

use super::limits::MAX_URL;

/// How a place is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The text before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Where something is: who is asked, and for what. Credentials belong to an origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// In clear or over TLS.
    pub scheme: Scheme,
    /// A name or an address, in lower case; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// `host[:port]`, as the `Host` header has it.
    pub fn authority(&self) -> String {
        let host = self.bracketed();
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// `host:port`, always with the port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// An absolute URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    origin: Origin,
    /// Begins with `/`.
    path: String,
    /// Without the `?`.
    query: Option<String>,
}

/// Why a text is no URL of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("is no http or https URL")]
    Scheme,
    /// A name and a password in front of the host.
    #[error("must not hold a user name or a password")]
    UserInfo,
    /// No host, or none that can be.
    #[error("has no valid host")]
    Host,
    /// No number, or too large.
    #[error("has no valid port")]
    Port,
    /// A control character, a blank, or something beyond ASCII.
    #[error("has characters that no URL has")]
    Characters,
    /// Longer than [`MAX_URL`].
    #[error("is longer than {MAX_URL} bytes")]
    Length,
}

impl Url {
    /// Reads an absolute URL; a fragment is dropped.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check(text)?;
        let (scheme, rest) = split_scheme(text).ok_or(UrlError::Scheme)?;
        Self::after_scheme(scheme, rest)
    }

    /// The root of an origin.
    pub fn root(origin: Origin) -> Self {
        Self { origin, path: "/".into(), query: None }
    }

    fn after_scheme(scheme: Scheme, rest: &str) -> Result<Self, UrlError> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let origin = parse_authority(scheme, authority)?;
        let (path, query) = split_tail(tail);
        Ok(Self { origin, path: normalise(if path.is_empty() { "/" } else { path }), query })
    }

    /// Resolves a reference (a `Location`, a `Link`) against this URL, RFC 3986 section 5.2.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        check(reference)?;
        if split_scheme(reference).is_some() {
            return Self::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::after_scheme(self.origin.scheme, rest);
        }
        let before = reference.find(['/', '?', '#']).unwrap_or(reference.len());
        if reference[..before].contains(':') {
            return Err(UrlError::Scheme);
        }
        let (path, query) = split_tail(reference);
        let (path, query) = if path.is_empty() {
            (self.path.clone(), query.or_else(|| self.query.clone()))
        } else if path.starts_with('/') {
            (normalise(path), query)
        } else {
            let base = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
            (normalise(&format!("{base}{path}")), query)
        };
        Ok(Self { origin: self.origin.clone(), path, query })
    }

    /// Who is asked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path, from its `/` on.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The same with another path and no query.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self { origin: self.origin.clone(), path: path.into(), query: None }
    }

    /// The same host and port, spoken to over TLS.
    #[must_use]
    pub fn over_tls(&self) -> Self {
        let origin = Origin { scheme: Scheme::Https, ..self.origin.clone() };
        Self { origin, ..self.clone() }
    }

    /// The same place with another URL's path and query.
    #[must_use]
    pub fn with_target(&self, other: &Self) -> Self {
        Self { origin: self.origin.clone(), path: other.path.clone(), query: other.query.clone() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        let mut query = self.query.take().unwrap_or_default();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&encode(name));
        query.push('=');
        query.push_str(&encode(value));
        self.query = Some(query);
        self
    }

    /// What stands in the first line of a request: path and query.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The whole text. Signed URLs grant access: not for messages, which use `Display`.
    pub fn full(&self) -> String {
        format!("{}{}", self.origin, self.target())
    }
}

/// Without the query, which may hold a signature.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// Percent-encodes a value of a query or a form.
pub(crate) fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

fn check(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::Length);
    }
    let fits =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`');
    if text.bytes().all(fits) { Ok(()) } else { Err(UrlError::Characters) }
}

fn split_scheme(text: &str) -> Option<(Scheme, &str)> {
    let (name, rest) = text.split_once("://")?;
    if name.eq_ignore_ascii_case("http") {
        Some((Scheme::Http, rest))
    } else {
        name.eq_ignore_ascii_case("https").then_some((Scheme::Https, rest))
    }
}

/// Reads `host[:port]`.
pub(crate) fn parse_authority(scheme: Scheme, text: &str) -> Result<Origin, UrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_not_an_address| UrlError::Host)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(UrlError::Port)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(fits) {
        return Err(UrlError::Host);
    }
    let port = match port {
        None | Some("") => scheme.default_port(),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok(Origin { scheme, host: host.to_ascii_lowercase(), port })
}

fn split_tail(tail: &str) -> (&str, Option<String>) {
    let tail = tail.split('#').next().unwrap_or_default();
    match tail.split_once('?') {
        Some((path, query)) => (path, Some(query.into())),
        None => (tail, None),
    }
}

/// Removes `.` and `..`, RFC 3986 section 5.2.4.
fn normalise(path: &str) -> String {
    if !path.contains("/.") {
        return path.into();
    }
    let mut out: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            other => out.push(other),
        }
    }
    format!("/{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_send() {
        let url = Url::parse("HTTPS://Reg.Example:5000/v2/a/blobs/uploads/x?_state=a%2Bb==#frag").unwrap();
        assert_eq!(url.full(), "https://reg.example:5000/v2/a/blobs/uploads/x?_state=a%2Bb==");
        assert_eq!(url.to_string(), "https://reg.example:5000/v2/a/blobs/uploads/x");
        let more = url.with_parameter("digest", "sha256:ab");
        assert_eq!(more.query(), Some("_state=a%2Bb==&digest=sha256%3Aab"));
        assert_eq!(Url::parse("http://h").unwrap().full(), "http://h/");
        assert_eq!(Url::parse("https://h:443").unwrap().origin().authority(), "h");
        assert_eq!(Url::parse("http://[::1]:5000/x").unwrap().origin().address(), "[::1]:5000");
    }

    #[test]
    fn refuses_what_is_none() {
        for (text, error) in [
            ("ftp://h/", UrlError::Scheme),
            ("h:5000/x", UrlError::Scheme),
            ("javascript:alert(1)", UrlError::Scheme),
            ("http://user:password@h/", UrlError::UserInfo),
            ("http:///x", UrlError::Host),
            ("http://[::1/x", UrlError::Host),
            ("http://a b/", UrlError::Characters),
            ("http://h/\r\nX: y", UrlError::Characters),
            ("http://h:0/", UrlError::Port),
            ("http://h:99999/", UrlError::Port),
            ("http://h:+5/", UrlError::Port),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Url::parse(&format!("http://h/{}", "a".repeat(MAX_URL))).unwrap_err(), UrlError::Length);
    }

    #[test]
    fn joins_as_the_rfc_does() {
        let base = Url::parse("http://h/v2/a/b?q=1").unwrap();
        for (reference, whole) in [
            ("https://other/x", "https://other/x"),
            ("//other:1/x", "http://other:1/x"),
            ("/x/../y?z", "http://h/y?z"),
            ("c", "http://h/v2/a/c"),
            ("../c/.", "http://h/v2/c/"),
            ("../../../../c", "http://h/c"),
            ("?n=2", "http://h/v2/a/b?n=2"),
            ("", "http://h/v2/a/b?q=1"),
        ] {
            assert_eq!(base.join(reference).unwrap().full(), whole, "{reference}");
        }
        for bad in ["file:///etc/passwd", "gopher:x", "http://u@h/"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }
}
