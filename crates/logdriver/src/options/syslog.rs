//! The options of `syslog`.

use std::path::PathBuf;

use super::address::{self, Unsplit};
use super::{given, only};
use crate::context::{Context, Options};
use crate::error::{OptionError, Result, words};
use crate::settings::{Address, Syslog, SyslogFormat, Tls};

const OWN: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
    "syslog-format",
];

/// By number; the four between 12 and 15 have no name.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// `daemon`.
const DEFAULT_FACILITY: u8 = 3;

pub(super) fn settings(options: &Options, context: &Context<'_>) -> Result<Syslog> {
    only(options, "syslog", &OWN)?;
    let format = match options.get("syslog-format").map_or("", String::as_str) {
        "" => SyslogFormat::Local,
        "rfc3164" => SyslogFormat::Rfc3164,
        "rfc5424" => SyslogFormat::Rfc5424,
        "rfc5424micro" => SyslogFormat::Rfc5424micro,
        _ => return Err(OptionError::new("Invalid syslog format")),
    };
    // labels and variables have no place in a syslog line; as in Docker they still have to be well-formed
    context.attributes(options, str::to_owned)?;
    Ok(Syslog {
        address: address(given(options, "syslog-address").unwrap_or_default())?,
        facility: facility(given(options, "syslog-facility").unwrap_or_default())?,
        format,
        tag: context.tag(options, "{{.ID}}")?,
        tls: tls(options)?,
    })
}

fn address(text: &str) -> Result<Address> {
    if text.is_empty() {
        return Ok(Address::LocalSyslog);
    }
    let Some(url) = address::url(text).filter(|url| url.scheme != "tls") else {
        return Err(OptionError::new(format!(
            "syslog-address should be in form proto://address, got {text}"
        )));
    };
    if matches!(url.scheme, "unix" | "unixgram") {
        if let Err(error) = std::fs::metadata(url.path) {
            return Err(OptionError::new(format!("stat {}: {}", url.path, words(&error))));
        }
        let path = PathBuf::from(url.path);
        return Ok(if url.scheme == "unix" { Address::Unix(path) } else { Address::Unixgram(path) });
    }
    let (host, port) = match address::split(url.host) {
        Ok((host, port)) => (host, port),
        Err(Unsplit::MissingPort) if url.scheme == "tcp+tls" => (url.host, "6514"),
        Err(Unsplit::MissingPort) => (url.host, "514"),
        Err(Unsplit::Wrong(sentence)) => return Err(OptionError::new(sentence)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = address::port(port).map_err(OptionError::new)?;
    Ok(match url.scheme {
        "tcp" => Address::Tcp(host, port),
        "udp" => Address::Udp(host, port),
        _ => Address::Tls(host, port),
    })
}

fn facility(text: &str) -> Result<u8> {
    if text.is_empty() {
        return Ok(DEFAULT_FACILITY);
    }
    let number = FACILITIES.iter().position(|&name| name == text).or_else(|| text.parse().ok());
    number
        .filter(|&number| number < FACILITIES.len())
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| OptionError::new("invalid syslog facility"))
}

fn tls(options: &Options) -> Result<Tls> {
    let path = |name| given(options, name).map(PathBuf::from);
    let tls = Tls {
        ca: path("syslog-tls-ca-cert"),
        certificate: path("syslog-tls-cert"),
        key: path("syslog-tls-key"),
        // that it is there counts, as in Docker
        skip_verify: options.contains_key("syslog-tls-skip-verify"),
    };
    if tls.certificate.is_some() != tls.key.is_some() {
        return Err(OptionError::new("syslog-tls-cert and syslog-tls-key need each other"));
    }
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use crate::options::tests::check;
    use crate::settings::{Address, Settings, Syslog, SyslogFormat};

    fn settings(list: &[(&str, &str)]) -> Result<Syslog, String> {
        let settings = check("syslog", list)?.forward.unwrap().settings;
        match serde_json::from_str(&settings).unwrap() {
            Settings::Syslog(syslog) => Ok(syslog),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses() {
        let address = |text: &str| settings(&[("syslog-address", text)]).map(|syslog| syslog.address);
        assert_eq!(address(""), Ok(Address::LocalSyslog));
        assert_eq!(address("udp://h"), Ok(Address::Udp("h".into(), 514)));
        assert_eq!(address("tcp://[::1]:99"), Ok(Address::Tcp("::1".into(), 99)));
        assert_eq!(address("tcp+tls://h:6514"), Ok(Address::Tls("h".into(), 6514)));
        assert_eq!(address("unixgram:///dev/null"), Ok(Address::Unixgram("/dev/null".into())));
        assert_eq!(
            address("unix:///nonexistent").unwrap_err(),
            "stat /nonexistent: no such file or directory"
        );
        assert_eq!(
            address("http://x").unwrap_err(),
            "syslog-address should be in form proto://address, got http://x"
        );
    }

    #[test]
    fn facilities_and_formats() {
        let facility = |text: &str| settings(&[("syslog-facility", text)]).map(|syslog| syslog.facility);
        assert_eq!((facility(""), facility("local7"), facility("13")), (Ok(3), Ok(23), Ok(13)));
        for wrong in ["24", "-1", "nope"] {
            assert_eq!(facility(wrong).unwrap_err(), "invalid syslog facility");
        }
        let format = |text: &str| settings(&[("syslog-format", text)]).map(|syslog| syslog.format);
        assert_eq!(format("rfc5424micro"), Ok(SyslogFormat::Rfc5424micro));
        assert_eq!(format("rfc1"), Err("Invalid syslog format".into()));
        assert_eq!(
            settings(&[("max-size", "1")]).unwrap_err(),
            "unknown log opt 'max-size' for syslog log driver"
        );
        assert_eq!(settings(&[("tag", "{{.Name}}")]).unwrap().tag, "web");
    }
}
