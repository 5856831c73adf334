//! The options of `gelf`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::address::{self, Unsplit};
use super::only;
use crate::context::{Context, Options};
use crate::error::{OptionError, Result};
use crate::settings::{Address, Compression, Gelf};

const OWN: [&str; 5] = [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

/// Best speed, as in Docker.
const LEVEL: i8 = 1;
const MAX_RECONNECT: u32 = 3;
const RECONNECT_DELAY: u32 = 1;

pub(super) fn settings(options: &Options, context: &Context<'_>) -> Result<Gelf> {
    only(options, "gelf", &OWN).map_err(|error| OptionError::new(error.to_string().replace('\'', "\"")))?;
    let address = address(options.get("gelf-address").map_or("", String::as_str))?;
    let is_udp = matches!(address, Address::Udp(..));
    for (option, of_udp) in [
        ("gelf-compression-level", true),
        ("gelf-compression-type", true),
        ("gelf-tcp-max-reconnect", false),
        ("gelf-tcp-reconnect-delay", false),
    ] {
        if options.contains_key(option) && of_udp != is_udp {
            return Err(OptionError::new(if of_udp {
                "compression is only supported on UDP".to_owned()
            } else {
                format!("{option:?} is only valid for TCP")
            }));
        }
    }
    Ok(Gelf {
        address,
        compression: known(options, "gelf-compression-type", compression)?.unwrap_or(Compression::Gzip),
        level: known(options, "gelf-compression-level", level)?.unwrap_or(LEVEL),
        max_reconnect: positive(options, "gelf-tcp-max-reconnect")?.unwrap_or(MAX_RECONNECT),
        reconnect_delay: Duration::from_secs(
            positive(options, "gelf-tcp-reconnect-delay")?.unwrap_or(RECONNECT_DELAY).into(),
        ),
        extra: extra(options, context)?,
    })
}

fn known<T>(options: &Options, name: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>> {
    let Some(value) = options.get(name) else { return Ok(None) };
    let unknown =
        || OptionError::new(format!("unknown value {value:?} for log opt {name:?} for gelf log driver"));
    read(value).map(Some).ok_or_else(unknown)
}

fn compression(text: &str) -> Option<Compression> {
    match text {
        "gzip" => Some(Compression::Gzip),
        "zlib" => Some(Compression::Zlib),
        "none" => Some(Compression::None),
        _ => None,
    }
}

fn level(text: &str) -> Option<i8> {
    text.parse().ok().filter(|level| (-1..=9).contains(level))
}

fn positive(options: &Options, name: &str) -> Result<Option<u32>> {
    let Some(value) = options.get(name) else { return Ok(None) };
    let wrong = |_not_a_number| OptionError::new(format!("{name:?} must be a positive integer"));
    value.parse().map(Some).map_err(wrong)
}

/// Members beside the message's own; their names begin with an underscore.
fn extra(options: &Options, context: &Context<'_>) -> Result<BTreeMap<String, String>> {
    let own = [
        ("_container_id", context.id.to_owned()),
        ("_container_name", context.name.to_owned()),
        ("_image_id", context.image_id.to_owned()),
        ("_image_name", context.image_name.to_owned()),
        ("_command", context.command()),
        ("_tag", context.tag(options, "{{.ID}}")?),
        ("_created", context.created.to_string()),
    ];
    let mut extra: BTreeMap<_, _> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    extra.extend(context.attributes(options, |name| {
        if name.starts_with('_') { name.to_owned() } else { format!("_{name}") }
    })?);
    Ok(extra)
}

fn address(text: &str) -> Result<Address> {
    if text.is_empty() {
        return Err(OptionError::new("gelf-address is a required parameter"));
    }
    let Some(url) = address::url(text) else {
        return Err(OptionError::new(format!("gelf-address should be in form proto://address, got {text}")));
    };
    if !matches!(url.scheme, "udp" | "tcp") {
        return Err(OptionError::new("gelf: endpoint needs to be TCP or UDP"));
    }
    let shape =
        |_unsplit: Unsplit| OptionError::new("gelf: please provide gelf-address as proto://host:port");
    let (host, port) = address::split(url.host).map_err(shape)?;
    let port = address::port(port).map_err(OptionError::new)?;
    Ok(if url.scheme == "udp" {
        Address::Udp(host.to_owned(), port)
    } else {
        Address::Tcp(host.to_owned(), port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::check;
    use crate::settings::Settings;

    fn settings(list: &[(&str, &str)]) -> std::result::Result<Gelf, String> {
        let settings = check("gelf", list)?.forward.unwrap().settings;
        match serde_json::from_str(&settings).unwrap() {
            Settings::Gelf(gelf) => Ok(gelf),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values() {
        let udp = ("gelf-address", "udp://h:12201");
        let it = settings(&[
            udp,
            ("gelf-compression-type", "zlib"),
            ("gelf-compression-level", "9"),
            ("env", "X"),
        ])
        .unwrap();
        assert_eq!((it.compression, it.level), (Compression::Zlib, 9));
        assert_eq!((it.extra["_X"].as_str(), it.extra["_command"].as_str()), ("new", "sh -c x"));
        assert_eq!(it.extra["_created"], "2026-01-02T03:04:05.5Z");
        let tcp = ("gelf-address", "tcp://h:1");
        assert_eq!(settings(&[tcp, ("gelf-tcp-max-reconnect", "5")]).unwrap().max_reconnect, 5);
        for (address, option, value, words) in [
            (tcp, "gelf-compression-level", "1", "compression is only supported on UDP"),
            (udp, "gelf-tcp-max-reconnect", "1", "\"gelf-tcp-max-reconnect\" is only valid for TCP"),
            (tcp, "gelf-tcp-max-reconnect", "-1", "\"gelf-tcp-max-reconnect\" must be a positive integer"),
            (
                udp,
                "gelf-compression-level",
                "10",
                "unknown value \"10\" for log opt \"gelf-compression-level\" for gelf log driver",
            ),
            (udp, "x", "1", "unknown log opt \"x\" for gelf log driver"),
        ] {
            assert_eq!(settings(&[address, (option, value)]).unwrap_err(), words);
        }
        let address = |text| settings(&[("gelf-address", text)]).unwrap_err();
        assert_eq!(address(""), "gelf-address is a required parameter");
        assert_eq!(address("h:1"), "gelf-address should be in form proto://address, got h:1");
        assert_eq!(address("unix:///h"), "gelf: endpoint needs to be TCP or UDP");
        assert_eq!(address("udp://h"), "gelf: please provide gelf-address as proto://host:port");
    }
}
