//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of one container.

use std::net::IpAddr;
use std::path::Path;

use ::network::DnsConfig;
use ::network::files::{hosts, resolv};

use super::mode::NetworkMode;
use super::security::selinux;
use super::spec::FileMount;
use crate::container::{Container, HostConfig};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::userns::IdMap;

/// What the files say.
pub(crate) struct Contents<'a> {
    pub(crate) container: &'a Container,
    pub(crate) hostname: &'a str,
    /// The container's addresses.
    pub(crate) addresses: &'a [IpAddr],
    /// What `host-gateway` means.
    pub(crate) gateway: Option<IpAddr>,
    /// Lines of its links.
    pub(crate) links: &'a [hosts::Entry],
    /// The daemon's resolver defaults.
    pub(crate) dns: &'a DnsConfig,
    /// The embedded resolver answers its questions.
    pub(crate) embedded: bool,
    /// SELinux's, of the files; empty = none.
    pub(crate) label: &'a str,
}

/// Writes the files of a container with a network of its own, or the host's.
///
/// # Errors
/// The disk is full; a line of `--add-host` or `--dns` is wrong.
pub(crate) fn write(layout: &Layout, contents: &Contents<'_>, mode: &NetworkMode) -> Result<()> {
    let container = contents.container;
    let directory = layout.container(&container.id);
    let failed = |error| Error::because(format!("write files of container {}", container.short_id()), error);
    let mut extra = extra_hosts(&container.host, contents.gateway)?;
    extra.extend_from_slice(contents.links);
    let dns = dns(&container.host)?.or(contents.dns);
    let on_host = *mode == NetworkMode::Host;
    let read = |result: std::io::Result<String>, what| result.map_err(|error| Error::because(what, error));
    let host_resolv = read(::network::files::host::resolv_conf(), "read /etc/resolv.conf")?;
    let hosts = if on_host {
        hosts::on_host(&read(::network::files::host::hosts(), "read /etc/hosts")?, &extra)
    } else {
        let own = |ip: &IpAddr| hosts::own(*ip, contents.hostname, &container.config.domainname);
        hosts::build(&extra, &contents.addresses.iter().map(own).collect::<Vec<_>>())
    };
    let resolv = if on_host {
        resolv::on_host(&host_resolv, &dns)
    } else if contents.embedded {
        resolv::embedded(&host_resolv, &dns)
    } else {
        resolv::build(&host_resolv, &dns, contents.addresses.iter().any(IpAddr::is_ipv6))
    };
    let files = [
        ("hostname", ::network::files::hostname(contents.hostname)),
        ("hosts", hosts),
        ("resolv.conf", resolv),
    ];
    // the container's root may write to them
    let root = container.ids.as_ref().and_then(IdMap::root);
    files.iter().try_for_each(|(name, text)| {
        let path = directory.join(name);
        put(&path, text).map_err(failed)?;
        selinux::label(&path, contents.label).map_err(failed)?;
        match root {
            Some((uid, gid)) => std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(failed),
            None => Ok(()),
        }
    })
}

/// Labels the files of a container whose network another one joins, for both.
///
/// # Errors
/// SELinux's refusal.
pub(crate) fn share(container: &Container, label: &str) -> Result<()> {
    let paths = [&container.hostname_path, &container.hosts_path, &container.resolv_conf_path];
    paths.into_iter().filter(|path| path.exists()).try_for_each(|path| {
        selinux::label(path, label)
            .map_err(|error| Error::because(format!("label {}", path.display()), error))
    })
}

/// In place: a running container's bind mount shows the same inode.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    let readable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
    std::fs::set_permissions(path, readable)
}

/// A running container has one more address: its hosts file says so. What the container has written
/// there stays.
pub(crate) fn add_host(container: &Container, ip: IpAddr) {
    change_hosts(container, |text| {
        let own = hosts::own(ip, &container.config.hostname, &container.config.domainname);
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{gap}{}\t{}\n", own.ip, own.names)
    });
}

/// A running container has an address no more.
pub(crate) fn remove_host(container: &Container, ip: IpAddr) {
    let own = hosts::own(ip, &container.config.hostname, &container.config.domainname);
    let line = format!("{}\t{}", own.ip, own.names);
    change_hosts(container, |text| {
        text.split_inclusive('\n').filter(|present| present.trim_end_matches('\n') != line).collect()
    });
}

/// A container's hosts file is its own to change: one that can't be read any more is left as it is.
pub(crate) fn change_hosts(container: &Container, change: impl FnOnce(&str) -> String) {
    let path = &container.hosts_path;
    let changed = sys::file::read_bounded(path, MOST_HOSTS)
        .and_then(|bytes| put(path, &change(&String::from_utf8_lossy(&bytes))));
    if let Err(error) = changed {
        tracing::warn!(container = %container.id, %error, "the hosts file was not changed");
    }
}

/// Longest hosts file of a container that is changed.
const MOST_HOSTS: usize = 1 << 20;

/// From now on the embedded resolver answers a running container's questions.
///
/// # Errors
/// The disk is full; a `--dns` is wrong.
pub(crate) fn embed_resolver(container: &Container, defaults: &DnsConfig) -> Result<()> {
    let failed = |error| Error::because("write resolv.conf", error);
    let host = ::network::files::host::resolv_conf().map_err(failed)?;
    let text = resolv::embedded(&host, &dns(&container.host)?.or(defaults));
    put(&container.resolv_conf_path, &text).map_err(failed)
}

/// Servers that the embedded resolver asks for what it does not know.
///
/// # Errors
/// The host's own can't be read; a `--dns` is wrong.
pub(crate) fn upstream(container: &Container, defaults: &DnsConfig) -> Result<Vec<IpAddr>> {
    let failed = |error| Error::because("read /etc/resolv.conf", error);
    let host = ::network::files::host::resolv_conf().map_err(failed)?;
    Ok(resolv::upstream(&host, &dns(&container.host)?.or(defaults)))
}

/// The binds of the three files.
pub(crate) fn mounts(container: &Container) -> Vec<FileMount> {
    [
        ("/etc/resolv.conf", &container.resolv_conf_path),
        ("/etc/hostname", &container.hostname_path),
        ("/etc/hosts", &container.hosts_path),
    ]
    .map(|(destination, source)| FileMount {
        source: Some(source.clone()),
        destination: destination.to_owned(),
        options: ["rbind", "rprivate", "rw"].map(str::to_owned).to_vec(),
    })
    .to_vec()
}

fn extra_hosts(host: &HostConfig, gateway: Option<IpAddr>) -> Result<Vec<hosts::Entry>> {
    let entry = |line: &String| {
        let (name, address) = extra_host(line)?;
        let ip = address.or(gateway).ok_or_else(|| {
            Error::bad_parameter("unable to derive the IP value for host-gateway".to_owned())
        })?;
        Ok(hosts::Entry { ip, names: name.to_owned() })
    };
    host.extra_hosts.iter().map(entry).collect()
}

/// A line of `--add-host`: the name, and the address unless it is `host-gateway`.
///
/// # Errors
/// Docker's sentences.
pub(super) fn extra_host(line: &str) -> Result<(&str, Option<IpAddr>)> {
    let named = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    let (name, address) = line
        .split_once([':', '='])
        .filter(|(name, _)| named(name))
        .ok_or_else(|| Error::bad_parameter(format!("bad format for add-host: \"{line}\"")))?;
    if address == "host-gateway" {
        return Ok((name, None));
    }
    let ip = address
        .trim_matches(['[', ']'])
        .parse()
        .map_err(|_error| Error::bad_parameter(format!("invalid IP address in add-host: \"{address}\"")))?;
    Ok((name, Some(ip)))
}

/// A container's own resolver settings.
fn dns(host: &HostConfig) -> Result<DnsConfig> {
    let server = |text: &String| {
        text.parse().map_err(|_error| Error::bad_parameter(format!("invalid DNS server address: {text}")))
    };
    Ok(DnsConfig {
        servers: host.dns.iter().map(server).collect::<Result<_>>()?,
        search: host.dns_search.clone(),
        options: host.dns_options.clone(),
    })
}
