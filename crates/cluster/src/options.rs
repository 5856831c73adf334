//! What the daemon is told of the store, read.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

/// Members of a store that are asked, at most.
const MAX_MEMBERS: usize = 32;
/// Longest path above our keys.
const MAX_PATH: usize = 256;
/// Path above our keys when nobody says.
const DEFAULT_PATH: &str = "berth";
/// Docker's `discovery.heartbeat`.
const HEARTBEAT: u64 = 20;
/// Docker's proportion: a session outlives two heartbeats that fail.
const BEATS: u64 = 3;
/// Longest session.
const MAX_TTL: u64 = 24 * 60 * 60;

/// A store, and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The address as it was given.
    pub url: String,
    /// `host:port` of its members.
    pub members: Vec<String>,
    /// Path above our keys, without slashes at its ends.
    pub path: String,
    /// Files of certificates; `None` speaks in the clear.
    pub tls: Option<TlsFiles>,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// After how long without one this machine counts as dead.
    pub ttl: Duration,
}

/// Certificates and keys (PEM).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// What the store's certificate is signed by.
    pub ca: PathBuf,
    /// Our own certificate and its key, if the store wants one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl StoreOptions {
    /// Reads `--cluster-store` and `--cluster-store-opt`.
    ///
    /// # Errors
    /// Names what is wrong: another kind of store, no address, an unknown option, a number that is none.
    pub fn parse(url: &str, options: &BTreeMap<String, String>) -> Result<Self> {
        let (members, prefix) = address(url)?;
        let mut files = BTreeMap::new();
        let (mut heartbeat, mut ttl, mut path) = (None, None, None);
        for (key, value) in options {
            match key.as_str() {
                "discovery.heartbeat" => heartbeat = Some(seconds(key, value)?),
                "discovery.ttl" => ttl = Some(seconds(key, value)?),
                "kv.path" => path = Some(clean_path(key, value)?),
                "kv.cacertfile" | "kv.certfile" | "kv.keyfile" => {
                    files.insert(key.as_str(), PathBuf::from(value));
                }
                _ => return Err(wrong(format!("unknown cluster store option {key:?}"))),
            }
        }
        let (heartbeat, ttl) = beats(heartbeat, ttl)?;
        let path = path.unwrap_or_else(|| DEFAULT_PATH.to_owned());
        let path = if prefix.is_empty() { path } else { format!("{prefix}/{path}") };
        Ok(Self { url: url.to_owned(), members, path, tls: tls(&files)?, heartbeat, ttl })
    }
}

fn wrong(what: String) -> Error {
    Error::Option(what)
}

/// `etcd://host:port[,host:port][/prefix]`.
fn address(url: &str) -> Result<(Vec<String>, String)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(format!(
            "invalid cluster store {url:?}: must be etcd://HOST:PORT[,HOST:PORT][/PATH]"
        )));
    };
    if scheme != "etcd" {
        return Err(wrong(format!(
            "cluster store {scheme:?} is not supported: use etcd://HOST:PORT[,HOST:PORT][/PATH]"
        )));
    }
    let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let members = hosts.split(',').map(member).collect::<Result<Vec<_>>>()?;
    if members.len() > MAX_MEMBERS {
        return Err(wrong(format!("more than {MAX_MEMBERS} members of the cluster store")));
    }
    Ok((members, clean_path("cluster-store", prefix)?))
}

fn member(text: &str) -> Result<String> {
    let bad = || wrong(format!("invalid address {text:?} in the cluster store: must be HOST:PORT"));
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_no_number| bad())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    if good && port != 0 { Ok(text.to_owned()) } else { Err(bad()) }
}

/// A path below which keys can lie, without slashes at its ends.
fn clean_path(option: &str, text: &str) -> Result<String> {
    let path = text.trim_matches('/');
    let good = path.len() <= MAX_PATH && path.bytes().all(|b| b.is_ascii_graphic()) && !path.contains("//");
    if good { Ok(path.to_owned()) } else { Err(wrong(format!("invalid path {text:?} in {option}"))) }
}

fn seconds(key: &str, value: &str) -> Result<u64> {
    let number = value.parse::<u64>().ok().filter(|number| (1..=MAX_TTL).contains(number));
    number.ok_or_else(|| wrong(format!("invalid {key} {value:?}: must be 1 to {MAX_TTL} seconds")))
}

/// As in Docker, a heartbeat alone also says how long a session lasts.
fn beats(heartbeat: Option<u64>, ttl: Option<u64>) -> Result<(Duration, Duration)> {
    let (heartbeat, ttl) = match (heartbeat, ttl) {
        (None, None) => (HEARTBEAT, HEARTBEAT * BEATS),
        (Some(heartbeat), None) => (heartbeat, heartbeat * BEATS),
        (None, Some(ttl)) => ((ttl / BEATS).max(1), ttl),
        (Some(heartbeat), Some(ttl)) => (heartbeat, ttl),
    };
    if heartbeat >= ttl {
        return Err(wrong(format!(
            "discovery.ttl ({ttl}) must be longer than discovery.heartbeat ({heartbeat})"
        )));
    }
    Ok((Duration::from_secs(heartbeat), Duration::from_secs(ttl)))
}

fn tls(files: &BTreeMap<&str, PathBuf>) -> Result<Option<TlsFiles>> {
    let [ca, cert, key] = ["kv.cacertfile", "kv.certfile", "kv.keyfile"].map(|key| files.get(key).cloned());
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(wrong("kv.certfile and kv.keyfile belong together".to_owned())),
    };
    match (ca, identity) {
        (Some(ca), identity) => Ok(Some(TlsFiles { ca, identity })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(wrong("kv.certfile needs kv.cacertfile".to_owned())),
    }
}

/// Where other machines reach this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advertise {
    /// At this address.
    Address(SocketAddr),
    /// At the first address of this interface.
    Interface {
        /// Its name.
        name: String,
        /// The port.
        port: u16,
    },
}

impl Advertise {
    /// Reads `--cluster-advertise`: `IP:PORT`, `INTERFACE:PORT`, or one of them without the port.
    ///
    /// # Errors
    /// It is neither, or an address that nobody has.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || wrong(format!("invalid cluster-advertise {text:?}: must be IP:PORT or INTERFACE:PORT"));
        let address = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 0).into()));
        if let Ok(address) = address {
            let ip = address.ip();
            let taken = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback();
            return if taken { Ok(Self::Address(address)) } else { Err(bad()) };
        }
        let (name, port) = text.rsplit_once(':').unwrap_or((text, "0"));
        let port = port.parse().map_err(|_no_number| bad())?;
        // a name that the kernel takes for an interface (dev_valid_name)
        let good = !name.is_empty()
            && name.len() <= 15
            && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':'));
        if good { Ok(Self::Interface { name: name.to_owned(), port }) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(url: &str, options: &[(&str, &str)]) -> std::result::Result<StoreOptions, String> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        StoreOptions::parse(url, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_names_members_and_a_path() {
        let read = parse("etcd://a:2379,10.0.0.1:1,[fd00::1]:2/x/y/", &[]).expect("read");
        assert_eq!(read.members, ["a:2379", "10.0.0.1:1", "[fd00::1]:2"]);
        assert_eq!(read.path, "x/y/berth");
        assert_eq!((read.heartbeat.as_secs(), read.ttl.as_secs(), read.tls), (20, 60, None));
        assert_eq!(parse("etcd://a:1", &[("kv.path", "/z/")]).expect("read").path, "z");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, options, named) in [
            ("consul://a:1", &[][..], "consul"),
            ("a:1", &[], "etcd://HOST:PORT"),
            ("etcd://", &[], "HOST:PORT"),
            ("etcd://a", &[], "\"a\""),
            ("etcd://a:b", &[], "a:b"),
            ("etcd://a b:1", &[], "a b:1"),
            ("etcd://[::1:1", &[], "HOST:PORT"),
            ("etcd://a:1", &[("colour", "red")], "colour"),
            ("etcd://a:1", &[("discovery.ttl", "0")], "discovery.ttl"),
            ("etcd://a:1", &[("discovery.ttl", "5"), ("discovery.heartbeat", "5")], "longer"),
            ("etcd://a:1", &[("kv.certfile", "/c")], "kv.keyfile"),
            ("etcd://a:1", &[("kv.certfile", "/c"), ("kv.keyfile", "/k")], "kv.cacertfile"),
            ("etcd://a:1/x y", &[], "x y"),
        ] {
            let error = parse(url, options).expect_err(url);
            assert!(error.contains(named), "{url}: {error}");
        }
    }

    #[test]
    fn a_heartbeat_or_a_ttl_alone_says_both() {
        let beats = |options: &[(&str, &str)]| {
            let read = parse("etcd://a:1", options).expect("read");
            (read.heartbeat.as_secs(), read.ttl.as_secs())
        };
        assert_eq!(beats(&[("discovery.heartbeat", "2")]), (2, 6));
        assert_eq!(beats(&[("discovery.ttl", "2")]), (1, 2));
        assert_eq!(beats(&[("discovery.heartbeat", "1"), ("discovery.ttl", "9")]), (1, 9));
    }

    #[test]
    fn an_advertised_address_is_an_address_or_an_interface() {
        assert_eq!(
            Advertise::parse("10.0.0.1:2376"),
            Ok(Advertise::Address("10.0.0.1:2376".parse().expect("x")))
        );
        assert_eq!(Advertise::parse("10.0.0.1"), Ok(Advertise::Address("10.0.0.1:0".parse().expect("x"))));
        assert_eq!(
            Advertise::parse("eth0:2376"),
            Ok(Advertise::Interface { name: "eth0".into(), port: 2376 })
        );
        assert_eq!(Advertise::parse("eth0"), Ok(Advertise::Interface { name: "eth0".into(), port: 0 }));
        for wrong in
            ["", ":1", "0.0.0.0:1", "127.0.0.1:1", "eth0:x", "a-name-that-is-too-long:1", "224.0.0.1:1"]
        {
            assert!(Advertise::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_reason_to_panic(text in ".{0,80}", key in ".{0,20}", value in ".{0,20}") {
            let _ = parse(&text, &[(&key, &value)]);
            let _ = parse(&format!("etcd://{text}"), &[]);
            let _ = Advertise::parse(&text);
        }
    }
}
