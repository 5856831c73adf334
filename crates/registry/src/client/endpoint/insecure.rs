//! `--insecure-registry`: registries whose certificates are not checked, and which may have none.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::client::error::{Error, Result};
use crate::client::net::resolve;
use crate::client::url::{Scheme, parse_authority};

/// Registries by name (`host[:port]`, exactly as references have it) and by address. This machine's own addresses are
/// always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsecureRegistries {
    names: Vec<String>,
    nets: Vec<IpNet>,
}

impl InsecureRegistries {
    /// Reads the values of the option: names with or without a port, or networks in CIDR notation. A scheme in front
    /// is dropped, as in Docker.
    ///
    /// # Errors
    /// A value is neither.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut all = Self::default();
        for value in values {
            let bare = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
            let bare = bare.unwrap_or(value).trim_end_matches('/');
            if let Ok(net) = bare.parse::<IpNet>() {
                all.nets.push(net);
                continue;
            }
            parse_authority(Scheme::Http, bare)
                .map_err(|error| Error::config("insecure registry", format!("{value:?} {error}")))?;
            all.names.push(bare.to_ascii_lowercase());
        }
        Ok(all)
    }

    /// Is the registry called `authority`, at `host`, insecure? Docker looks the name up to compare addresses.
    pub(crate) async fn covers(&self, authority: &str, host: &str) -> bool {
        if self.has_name(authority) {
            return true;
        }
        if let Ok(address) = host.parse() {
            return self.has_address(address);
        }
        if sys::names::is_localhost(host) {
            return true;
        }
        // without a rule about addresses no question leaves the machine
        !self.nets.is_empty()
            && resolve(host).await.is_ok_and(|all| all.into_iter().any(|address| self.has_address(address)))
    }

    fn has_name(&self, authority: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(authority))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.nets.iter().any(|net| net.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_networks_and_this_machine() {
        let all =
            InsecureRegistries::parse(["reg.example:5000", "10.1.0.0/16", "http://old.example/"]).unwrap();
        for (authority, host) in [
            ("reg.example:5000", "reg.example"),
            ("Old.example", "old.example"),
            ("10.1.2.3:5000", "10.1.2.3"),
            ("127.0.0.1:5000", "127.0.0.1"),
            ("127.9.9.9", "127.9.9.9"),
            ("[::1]:5000", "::1"),
            ("localhost:5000", "localhost"),
        ] {
            assert!(all.covers(authority, host).await, "{authority}");
        }
        let named = InsecureRegistries { nets: Vec::new(), ..all };
        for (authority, host) in [("reg.example", "reg.example"), ("10.1.2.3", "10.1.2.3"), ("x.y", "x.y")] {
            assert!(!named.covers(authority, host).await, "{authority}");
        }
        assert!(InsecureRegistries::parse(["a b"]).is_err());
    }
}
