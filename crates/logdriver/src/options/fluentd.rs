//! The options of `fluentd`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Unsplit};
use super::parse::Parsed;
use super::{given, only, parse};
use crate::context::{Context, Options};
use crate::error::{OptionError, Result};
use crate::settings::{Address, Fluentd};

const OWN: [&str; 11] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-connect",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-read-timeout",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];

const HOST: &str = "127.0.0.1";
const PORT: u16 = 24224;
const BUFFER_LIMIT: u64 = 1 << 20;
const RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRIES: u64 = i32::MAX as u64;
/// What a wish for a new connection may be.
const RECONNECT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

pub(super) fn settings(options: &Options, context: &Context<'_>) -> Result<Fluentd> {
    only(options, "fluentd", &OWN)?;
    let (address, tls) = address(given(options, "fluentd-address").unwrap_or_default())?;
    // the older name of the same
    let (is_async, connect) = ("fluentd-async", "fluentd-async-connect");
    if given(options, is_async).is_some() && given(options, connect).is_some() {
        return Err(OptionError::new(format!(
            "conflicting options: cannot specify both '{is_async}' and '{connect}"
        )));
    }
    let flag = |name| value(options, name, parse::boolean).map(Option::unwrap_or_default);
    Ok(Fluentd {
        address,
        tls,
        tag: context.tag(options, "{{.ID}}")?,
        record: record(options, context)?,
        is_async: flag(is_async)? || flag(connect)?,
        reconnect_interval: reconnect_interval(options)?,
        buffer_limit: value(options, "fluentd-buffer-limit", parse::binary_size)?.unwrap_or(BUFFER_LIMIT),
        retry_wait: value(options, "fluentd-retry-wait", parse::duration)?.unwrap_or(RETRY_WAIT),
        max_retries: value(options, "fluentd-max-retries", parse::unsigned)?.unwrap_or(MAX_RETRIES),
        sub_second: flag("fluentd-sub-second-precision")?,
        request_ack: flag("fluentd-request-ack")?,
        write_timeout: limit(options, "fluentd-write-timeout")?,
        read_timeout: limit(options, "fluentd-read-timeout")?,
    })
}

fn value<T>(options: &Options, name: &str, parse: fn(&str) -> Parsed<T>) -> Result<Option<T>> {
    given(options, name).map(parse).transpose().map_err(OptionError::new)
}

/// Zero is no limit.
fn limit(options: &Options, name: &str) -> Result<Option<Duration>> {
    Ok(value(options, name, parse::duration)?.filter(|limit| !limit.is_zero()))
}

fn record(options: &Options, context: &Context<'_>) -> Result<BTreeMap<String, String>> {
    let mut record = BTreeMap::from([
        ("container_id".to_owned(), context.id.to_owned()),
        ("container_name".to_owned(), format!("/{}", context.name)),
    ]);
    record.extend(context.attributes(options, str::to_owned)?);
    Ok(record)
}

fn reconnect_interval(options: &Options) -> Result<Option<Duration>> {
    let name = "fluentd-async-reconnect-interval";
    let Some(text) = given(options, name) else { return Ok(None) };
    let interval = parse::duration(text)
        .map_err(|reason| OptionError::new(format!("invalid value for {name}: {reason}")))?;
    if interval.is_zero() {
        return Ok(None);
    }
    if !RECONNECT.contains(&interval) {
        return Err(OptionError::new(format!(
            "invalid value for {name}: value ({text:?}) must be between 100ms and 10s"
        )));
    }
    Ok(Some(interval))
}

/// Where to, and whether behind TLS.
fn address(text: &str) -> Result<(Address, bool)> {
    if text.is_empty() {
        return Ok((Address::Tcp(HOST.to_owned(), PORT), false));
    }
    let invalid = |reason: &str| OptionError::new(format!("invalid fluentd-address {text}: {reason}"));
    let (scheme, address) = match address::url(text) {
        Some(url) if url.scheme == "unix" => return Ok((Address::Unix(PathBuf::from(url.path)), false)),
        Some(url) if matches!(url.scheme, "tcp" | "tls") => (url.scheme, url.host),
        // Docker tells so at the start
        Some(url) => return Err(invalid(&format!("unknown network {}", url.scheme))),
        None => ("tcp", text),
    };
    let (host, port) = match address::split(address) {
        Ok((host, port)) => (host, address::port(port).map_err(|reason| invalid(&reason))?),
        Err(Unsplit::MissingPort) => (address.trim_start_matches('[').trim_end_matches(']'), PORT),
        Err(Unsplit::Wrong(sentence)) => return Err(invalid(&sentence)),
    };
    let host = if host.is_empty() { HOST } else { host };
    Ok((Address::Tcp(host.to_owned(), port), scheme == "tls"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::check;
    use crate::settings::Settings;

    fn settings(list: &[(&str, &str)]) -> std::result::Result<Fluentd, String> {
        let settings = check("fluentd", list)?.forward.unwrap().settings;
        match serde_json::from_str(&settings).unwrap() {
            Settings::Fluentd(fluentd) => Ok(fluentd),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses() {
        let address = |text: &str| settings(&[("fluentd-address", text)]).map(|it| (it.address, it.tls));
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        assert_eq!(address(""), Ok((tcp(HOST, PORT), false)));
        assert_eq!(address("h"), Ok((tcp("h", PORT), false)));
        assert_eq!(address("h:1"), Ok((tcp("h", 1), false)));
        assert_eq!(address("tls://h:1"), Ok((tcp("h", 1), true)));
        assert_eq!(address("unix:///s"), Ok((Address::Unix("/s".into()), false)));
        assert_eq!(
            address("h:x").unwrap_err(),
            "invalid fluentd-address h:x: strconv.Atoi: parsing \"x\": invalid syntax"
        );
        assert!(address("udp://h:1").unwrap_err().contains("unknown network udp"));
    }

    #[test]
    fn values() {
        let it =
            settings(&[("fluentd-retry-wait", "2s"), ("labels", "a"), ("fluentd-async", "true")]).unwrap();
        assert_eq!(
            (it.retry_wait, it.is_async, it.record["a"].as_str()),
            (Duration::from_secs(2), true, "1")
        );
        assert_eq!(it.record["container_name"], "/web");
        for (option, value, words) in [
            ("fluentd-async", "x", "strconv.ParseBool: parsing \"x\": invalid syntax"),
            ("fluentd-max-retries", "-1", "strconv.ParseUint: parsing \"-1\": invalid syntax"),
            ("fluentd-buffer-limit", "x", "invalid size: 'x'"),
            (
                "fluentd-async-reconnect-interval",
                "1m",
                "invalid value for fluentd-async-reconnect-interval: value (\"1m\") must be between 100ms and 10s",
            ),
            ("fluentd-nope", "1", "unknown log opt 'fluentd-nope' for fluentd log driver"),
        ] {
            assert_eq!(settings(&[(option, value)]).unwrap_err(), words);
        }
        assert!(settings(&[("fluentd-async", "1"), ("fluentd-async-connect", "1")]).is_err());
    }
}
