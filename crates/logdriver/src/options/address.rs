//! Addresses as Go's `net/url` and `net` read them, as far as drivers use them.

/// A scheme, and what stands behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    /// Up to the first slash.
    pub(super) host: &'a str,
    /// From there on.
    pub(super) path: &'a str,
}

/// The schemes that Docker knows to be a transport.
const SCHEMES: [&str; 6] = ["tcp", "tcp+tls", "tls", "udp", "unix", "unixgram"];

/// `scheme://host/path` with a scheme of a transport.
pub(super) fn url(text: &str) -> Option<Url<'_>> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some(Url { scheme, host, path })
}

/// Why a host and a port can't be told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsplit {
    /// There is only a host.
    MissingPort,
    /// Go's sentence.
    Wrong(String),
}

/// `host:port`; an IPv6 address stands in brackets.
pub(super) fn split(address: &str) -> Result<(&str, &str), Unsplit> {
    let wrong = |reason: &str| Unsplit::Wrong(format!("address {address}: {reason}"));
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong("missing ']' in address"))?;
            (host, port.strip_prefix(':').ok_or(Unsplit::MissingPort)?)
        }
        None => address.rsplit_once(':').ok_or(Unsplit::MissingPort)?,
    };
    if port.contains(':') || (host.contains(':') && !address.starts_with('[')) {
        return Err(wrong("too many colons in address"));
    }
    Ok((host, port))
}

/// A port's number.
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_not_a_port| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(url("tcp://h:1"), Some(Url { scheme: "tcp", host: "h:1", path: "" }));
        assert_eq!(url("unix:///a/b"), Some(Url { scheme: "unix", host: "", path: "/a/b" }));
        assert_eq!(url("http://h:1"), None);
        assert_eq!(url("h:1"), None);
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(split("h:1"), Ok(("h", "1")));
        assert_eq!(split("[::1]:2"), Ok(("::1", "2")));
        assert_eq!(split("h"), Err(Unsplit::MissingPort));
        assert_eq!(split("[::1]"), Err(Unsplit::MissingPort));
        assert_eq!(split("::1:2"), Err(Unsplit::Wrong("address ::1:2: too many colons in address".into())));
        assert!(port("x").is_err() && port("70000").is_err() && port("514") == Ok(514));
    }
}
