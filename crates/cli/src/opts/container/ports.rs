//! `--publish` and `--expose`: ports, ranges of them, and where they are published.

use std::net::IpAddr;

use crate::flag::check;
use crate::opts::kv;

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// `80/tcp`
    pub(crate) port: String,
    /// Address on the host; empty for all.
    pub(crate) ip: String,
    /// Port on the host, or a range to choose from; empty for any.
    pub(crate) host: String,
}

/// Parses one `--publish`: the short form or the one of `key=value`.
pub(crate) fn publish(text: &str) -> Result<Vec<Published>, String> {
    if text.contains('=') { long(text) } else { short(text) }
}

/// `target=80,published=8080,protocol=tcp`
fn long(text: &str) -> Result<Vec<Published>, String> {
    let (mut target, mut published, mut protocol) = (String::new(), String::new(), "tcp".to_owned());
    for field in kv::csv(text)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("invalid field: {field}"));
        };
        match key {
            "target" | "dst" => value.clone_into(&mut target),
            "published" | "src" => value.clone_into(&mut published),
            "protocol" => value.clone_into(&mut protocol),
            "mode" if ["host", "ingress"].contains(&value) => {}
            "mode" => {
                return Err(format!("invalid publish mode value ({value}): must be one of ingress, host"));
            }
            other => return Err(format!("invalid field key: {other}")),
        }
    }
    if target.is_empty() {
        return Err(format!("invalid field: {text}: missing target"));
    }
    let spec = if published.is_empty() { target } else { format!("{published}:{target}") };
    short(&format!("{spec}/{protocol}"))
}

/// `[[ip:]host:]container[/protocol]`, ports or ranges.
fn short(text: &str) -> Result<Vec<Published>, String> {
    let (ip, host, container) = split(text);
    if container.is_empty() {
        return Err("no port specified: ".to_owned() + text + "<empty>");
    }
    let ip = match ip.strip_prefix('[') {
        None => ip,
        Some(inner) => inner
            .strip_suffix(']')
            .ok_or_else(|| format!("invalid IP address {ip}: address {ip}:: missing ']' in address"))?,
    };
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let protocol = protocol.to_lowercase();
    let inner = range(container).map_err(|_reason| format!("invalid containerPort: {container}"))?;
    let outer = match host {
        "" => None,
        host => Some(range(host).map_err(|_reason| format!("invalid hostPort: {host}"))?),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("invalid proto: {protocol}"));
    }
    let count = inner.1 - inner.0;
    if let Some(outer) = outer {
        // One port may be published on any of a range of the host's.
        if outer.1 - outer.0 != count && count != 0 {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            ));
        }
    }
    Ok((0..=count)
        .map(|offset| Published {
            port: format!("{}/{protocol}", inner.0 + offset),
            ip: ip.to_owned(),
            host: match outer {
                None => String::new(),
                Some(outer) if count == 0 && outer.0 != outer.1 => format!("{}-{}", outer.0, outer.1),
                Some(outer) => (outer.0 + offset).to_string(),
            },
        })
        .collect())
}

/// Address, host part and container part.
fn split(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else { return ("", "", text) };
    let Some((ip, host)) = rest.rsplit_once(':') else { return ("", rest, container) };
    (ip, host, container)
}

/// `80`, `80-90`; inclusive.
fn range(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| check::parse_uint(text, u64::from(u16::MAX));
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if last < first {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((first, last))
}

/// Longest name of a protocol, in bytes.
const MOST_PROTOCOL: usize = 16;

/// Parses one `--expose`: `80`, `80/udp`, `80-90`.
pub(crate) fn expose(text: &str) -> Result<Vec<String>, String> {
    if text.contains(':') {
        return Err(format!("invalid port format for --expose: {text}"));
    }
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range(ports)
        .map_err(|reason| format!("invalid range format for --expose: {text}, error: {reason}"))?;
    // which protocols there are is the daemon's to say; none has a name that a range of ports makes megabytes of
    if protocol.len() > MOST_PROTOCOL {
        return Err(format!("invalid proto: {}", protocol.chars().take(MOST_PROTOCOL).collect::<String>()));
    }
    Ok((first..=last).map(|port| format!("{port}/{}", protocol.to_lowercase())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        publish(text).unwrap().iter().map(|p| format!("{}:{}->{}", p.ip, p.host, p.port)).collect()
    }

    #[test]
    fn all_forms() {
        assert_eq!(shown("80"), [":->80/tcp"]);
        assert_eq!(shown("8080:80/UDP"), [":8080->80/udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1:->80/tcp"]);
        assert_eq!(shown("[::1]:1:2"), ["::1:1->2/tcp"]);
        assert_eq!(shown("1-2:3-4"), [":1->3/tcp", ":2->4/tcp"]);
        assert_eq!(shown("8000-8010:80"), [":8000-8010->80/tcp"]);
        assert_eq!(shown("target=80,published=8080,protocol=udp"), [":8080->80/udp"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text| publish(text).unwrap_err();
        assert_eq!(wrong("99999:1"), "invalid hostPort: 99999");
        assert_eq!(wrong("1:x"), "invalid containerPort: x");
        assert_eq!(wrong("80/foo"), "invalid proto: foo");
        assert_eq!(wrong("x:1:2"), "invalid IP address: x");
        assert_eq!(wrong("1-3:4-5"), "invalid ranges specified for container and host Ports: 4-5 and 1-3");
    }

    #[test]
    fn exposed_ranges() {
        assert_eq!(expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
        assert!(
            expose("1-65535/much-longer-than-any").unwrap_err().starts_with("invalid proto: much-longer")
        );
        assert!(expose("foo").unwrap_err().starts_with("invalid range format for --expose: foo, error: "));
    }
}
