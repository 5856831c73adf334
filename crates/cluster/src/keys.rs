//! What each key is called, drawn once. All below `<path>/v1`; a store of another form would be `v2`.
//!
//! ```text
//! generation                       changed by whoever makes or removes a network
//! networks/<id>                    what it is
//! names/<name>                     its id; the name in percent-encoding
//! numbers/<vni>                    its id
//! hosts/<host>                     a machine that lives                    (with its lease)
//! claims/<network>/<address>       who has the address                     (with its holder's lease)
//! endpoints/<network>/<endpoint>   a container's place on the network      (with its machine's lease)
//! ```

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Version of the form of all keys and values.
const VERSION: &str = "v1";
/// What stands in a name's key as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Longest id of a machine.
const MAX_HOST: usize = 128;

/// The keys below one path.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Ends with a slash.
    prefix: String,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Network(String),
    Host(String),
    Claim {
        network: String,
        ip: IpAddr,
    },
    Endpoint {
        network: String,
        endpoint: String,
    },
    /// One that is only there to be unique.
    Index,
}

impl Keys {
    pub(crate) fn new(path: &str) -> Self {
        Self { prefix: format!("{path}/{VERSION}/") }
    }

    /// All of them: the first, and the first that is none any more.
    pub(crate) fn all(&self) -> (Vec<u8>, Vec<u8>) {
        span(&self.prefix)
    }

    pub(crate) fn generation(&self) -> String {
        format!("{}generation", self.prefix)
    }

    pub(crate) fn network(&self, id: &str) -> String {
        format!("{}networks/{id}", self.prefix)
    }

    pub(crate) fn networks(&self) -> (Vec<u8>, Vec<u8>) {
        span(&format!("{}networks/", self.prefix))
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}names/{}", self.prefix, utf8_percent_encode(name, PLAIN))
    }

    pub(crate) fn number(&self, vni: u32) -> String {
        format!("{}numbers/{vni}", self.prefix)
    }

    pub(crate) fn host(&self, id: &str) -> String {
        format!("{}hosts/{id}", self.prefix)
    }

    pub(crate) fn claim(&self, network: &str, ip: IpAddr) -> String {
        format!("{}claims/{network}/{ip}", self.prefix)
    }

    pub(crate) fn claims(&self, network: &str) -> (Vec<u8>, Vec<u8>) {
        span(&format!("{}claims/{network}/", self.prefix))
    }

    pub(crate) fn endpoint(&self, network: &str, endpoint: &str) -> String {
        format!("{}endpoints/{network}/{endpoint}", self.prefix)
    }

    pub(crate) fn endpoints(&self, network: &str) -> (Vec<u8>, Vec<u8>) {
        span(&format!("{}endpoints/{network}/", self.prefix))
    }

    /// What a key of ours stands for; `None` for one that we would not have made.
    pub(crate) fn read(&self, key: &[u8]) -> Option<Key> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        match kind {
            "generation" | "names" | "numbers" => Some(Key::Index),
            "networks" => is_id(rest).then(|| Key::Network(rest.to_owned())),
            "hosts" => is_host(rest).then(|| Key::Host(rest.to_owned())),
            "claims" => {
                let (network, ip) = rest.split_once('/')?;
                let parsed: IpAddr = ip.parse().ok()?;
                // one address has one key
                let exact = is_id(network) && parsed.to_string() == ip;
                exact.then(|| Key::Claim { network: network.to_owned(), ip: parsed })
            }
            "endpoints" => {
                let (network, endpoint) = rest.split_once('/')?;
                let exact = is_id(network) && is_id(endpoint);
                exact.then(|| Key::Endpoint { network: network.to_owned(), endpoint: endpoint.to_owned() })
            }
            _ => None,
        }
    }
}

/// 64 lower-case hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// An id that a machine may have.
pub(crate) fn is_host(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= MAX_HOST && text.bytes().all(good)
}

/// The keys that begin with `prefix`. All of ours end with a slash, after which comes `0`.
fn span(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.as_bytes().to_vec(), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read_as_they_are_made() {
        let (keys, id, other) = (Keys::new("a/berth"), "ab".repeat(32), "cd".repeat(32));
        let ip: IpAddr = "10.0.0.2".parse().expect("ip");
        let read = |key: String| keys.read(key.as_bytes());
        assert_eq!(keys.network(&id), format!("a/berth/v1/networks/{id}"));
        assert_eq!(read(keys.network(&id)), Some(Key::Network(id.clone())));
        assert_eq!(read(keys.host("h-1")), Some(Key::Host("h-1".into())));
        assert_eq!(read(keys.claim(&id, ip)), Some(Key::Claim { network: id.clone(), ip }));
        let endpoint = Key::Endpoint { network: id.clone(), endpoint: other.clone() };
        assert_eq!(read(keys.endpoint(&id, &other)), Some(endpoint));
        for index in [keys.generation(), keys.name("a/b c"), keys.number(7)] {
            assert_eq!(read(index), Some(Key::Index));
        }
        assert_eq!(keys.name("a/b"), "a/berth/v1/names/a%2Fb");
    }

    #[test]
    fn a_span_holds_what_begins_so_and_nothing_else() {
        let keys = Keys::new("p");
        let (first, end) = keys.claims("x");
        assert!(first.as_slice() < &b"p/v1/claims/x/1"[..] && &b"p/v1/claims/x/\xff"[..] < end.as_slice());
        assert!(end.as_slice() <= &b"p/v1/claims/x0"[..]);
    }

    #[test]
    fn keys_that_we_would_not_make_are_none() {
        let (keys, id) = (Keys::new("p"), "ab".repeat(32));
        for key in [
            "q/v1/hosts/a".to_owned(),
            "p/v1/hosts/".to_owned(),
            "p/v1/hosts/a/b".to_owned(),
            "p/v1/networks/short".to_owned(),
            format!("p/v1/claims/{id}/010.0.0.1"),
            format!("p/v1/claims/{id}/::0001"),
            format!("p/v1/claims/{id}"),
            format!("p/v1/endpoints/{id}/x"),
            "p/v1/else".to_owned(),
        ] {
            assert_eq!(keys.read(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys.read(b"p/v1/\xff"), None);
    }

    proptest! {
        #[test]
        fn no_key_is_a_reason_to_panic(key in proptest::collection::vec(any::<u8>(), 0..90)) {
            let keys = Keys::new("");
            let _ = keys.read(&key);
            let _ = keys.read(&[&keys.all().0, &key[..]].concat());
        }
    }
}
