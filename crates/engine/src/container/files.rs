//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of one container.

use std::net::IpAddr;

use ::network::DnsConfig;
use ::network::files::{hosts, resolv};

use super::mode::NetworkMode;
use super::spec::FileMount;
use crate::container::{Container, HostConfig};
use crate::error::{Error, Result};
use crate::layout::Layout;

/// What the files say.
pub(crate) struct Contents<'a> {
    pub(crate) container: &'a Container,
    pub(crate) hostname: &'a str,
    /// The container's addresses.
    pub(crate) addresses: &'a [IpAddr],
    /// What `host-gateway` means.
    pub(crate) gateway: Option<IpAddr>,
    /// The daemon's resolver defaults.
    pub(crate) dns: &'a DnsConfig,
}

/// Writes the files of a container with a network of its own, or the host's.
///
/// # Errors
/// The disk is full; a line of `--add-host` or `--dns` is wrong.
pub(crate) fn write(layout: &Layout, contents: &Contents<'_>, mode: &NetworkMode) -> Result<()> {
    let container = contents.container;
    let directory = layout.container(&container.id);
    let failed = |error| Error::because(format!("write files of container {}", container.short_id()), error);
    let extra = extra_hosts(&container.host, contents.gateway)?;
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
    } else {
        resolv::build(&host_resolv, &dns, contents.addresses.iter().any(IpAddr::is_ipv6))
    };
    let files = [
        ("hostname", ::network::files::hostname(contents.hostname)),
        ("hosts", hosts),
        ("resolv.conf", resolv),
    ];
    for (name, text) in files {
        // in place: a running container's bind mount shows the same inode
        std::fs::write(directory.join(name), text).map_err(failed)?;
        let readable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644);
        std::fs::set_permissions(directory.join(name), readable).map_err(failed)?;
    }
    Ok(())
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
    let mut entries = Vec::new();
    for line in &host.extra_hosts {
        let wrong = || Error::bad_parameter(format!("bad format for add-host: \"{line}\""));
        let (name, address) = line.split_once([':', '=']).ok_or_else(wrong)?;
        let ip = match address {
            "host-gateway" => gateway.ok_or_else(|| {
                Error::bad_parameter("unable to derive the IP value for host-gateway".to_owned())
            })?,
            _ => address.trim_matches(['[', ']']).parse().map_err(|_error| {
                Error::bad_parameter(format!("invalid IP address in add-host: \"{address}\""))
            })?,
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        entries.push(hosts::Entry { ip, names: name.to_owned() });
    }
    Ok(entries)
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
