//! Where a member of the store is. Names are looked up in `/etc/hosts` alone: everything else would load what the
//! host's C library is configured with (NSS) into a static program.

use std::net::SocketAddr;

use sys::names;

use crate::error::{Error, Result};

/// The address of `HOST:PORT`.
///
/// # Errors
/// The name is not in `/etc/hosts`.
pub(crate) fn member(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let known = sys::file::read_bounded(names::HOSTS, names::MAX_FILE).unwrap_or_default();
    find(text, &String::from_utf8_lossy(&known)).ok_or_else(|| {
        Error::Option(format!(
            "cluster store member {text} is not in /etc/hosts, where names of members are looked up: add it, or use its IP address"
        ))
    })
}

fn find(text: &str, hosts: &str) -> Option<SocketAddr> {
    let (name, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    names::in_hosts(hosts, name).first().map(|ip| SocketAddr::new(*ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 store\n10.0.0.2\tother Store # one\nx y\n";
        assert_eq!(find("store:1", hosts), Some(([10, 0, 0, 2], 1).into()));
        assert_eq!(find("stor:1", hosts), None);
        assert_eq!(member("[fd00::1]:9").ok(), "[fd00::1]:9".parse().ok());
        let error = member("no-such-store.invalid:1").expect_err("unknown").to_string();
        assert!(error.contains("no-such-store.invalid:1") && error.contains("/etc/hosts"), "{error}");
    }
}
