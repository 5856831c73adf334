//! `--log-driver` and `--log-opt` checked, and turned into what a shim needs.

mod address;
mod file;
mod fluentd;
mod gelf;
mod journald;
mod parse;
mod syslog;

use shim::protocol::{ForwardRequest, LogRequest};

use crate::context::{Context, Options, Places};
use crate::error::{OptionError, Result};
use crate::settings::Settings;

/// The drivers there are.
pub const DRIVERS: [&str; 7] = ["fluentd", "gelf", "journald", "json-file", "local", "none", "syslog"];

/// What every driver may be told about the container.
const ABOUT: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// Bytes that may wait in non-blocking mode by default, as in Docker.
const BUFFER: u64 = 1_000_000;

/// Check a driver's options.
///
/// # Errors
/// An unknown driver or option, or a value that makes no sense.
pub fn configure(
    driver: &str,
    options: &Options,
    context: &Context<'_>,
    places: &Places<'_>,
) -> Result<LogRequest> {
    if !DRIVERS.contains(&driver) {
        return Err(OptionError::new(format!("logger: no log driver named '{driver}' is registered")));
    }
    let buffer = buffer(options)?;
    let mut own = options.clone();
    own.retain(|option, _| !matches!(option.as_str(), "mode" | "max-buffer-size"));
    if driver == "none" {
        return file::none(&own);
    }
    let cache: Options = own.extract_if(.., |option, _| option.starts_with("cache-")).collect();
    let cache = file::cache(&cache, &own, driver, context, places)?;
    match driver {
        // what can be read needs no cache
        "json-file" => file::json(&own, context, places),
        "local" => file::local(&own, context, places),
        _ => Ok(LogRequest { forward: Some(forward(driver, &own, context, places, buffer)?), ..cache }),
    }
}

/// Where what was written can be read; the driver `none` when it can't.
#[must_use]
pub fn kept(driver: &str, options: &Options, places: &Places<'_>) -> LogRequest {
    let disabled = given(options, "cache-disabled").is_some_and(|value| parse::boolean(value) != Ok(false));
    let (format, path) = match driver {
        "json-file" | "local" => (driver, places.file),
        "none" => return LogRequest::default(),
        _ if disabled => return LogRequest::default(),
        _ => ("local", places.cache),
    };
    LogRequest { driver: format.to_owned(), path: path.to_owned(), ..LogRequest::default() }
}

/// Bytes that may wait; `None` when the container waits instead.
fn buffer(options: &Options) -> Result<Option<u64>> {
    let mode = options.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(OptionError::new(format!("logger: logging mode not supported: {mode}")));
    }
    match options.get("max-buffer-size") {
        Some(_) if mode != "non-blocking" => {
            Err(OptionError::new("logger: max-buffer-size option is only supported with 'mode=non-blocking'"))
        }
        Some(size) => match parse::binary_size(size) {
            Ok(size) => Ok(Some(size)),
            Err(reason) => Err(OptionError::new(format!("error parsing option max-buffer-size: {reason}"))),
        },
        None => Ok((mode == "non-blocking").then_some(BUFFER)),
    }
}

/// Where a driver's output goes.
fn forward(
    driver: &str,
    options: &Options,
    context: &Context<'_>,
    places: &Places<'_>,
    buffer: Option<u64>,
) -> Result<ForwardRequest> {
    let settings = match driver {
        "syslog" => Settings::Syslog(syslog::settings(options, context)?),
        "fluentd" => Settings::Fluentd(fluentd::settings(options, context)?),
        "gelf" => Settings::Gelf(gelf::settings(options, context)?),
        _ => Settings::Journald(journald::settings(options, context, places)?),
    };
    let settings = serde_json::to_string(&settings).map_err(|error| OptionError::new(error.to_string()))?;
    if settings.len() > shim::log::frame::MAX_LENGTH {
        return Err(OptionError::new("the labels and variables that are to be logged are too long"));
    }
    let about = places.cache.parent().unwrap_or(places.cache).to_owned();
    Ok(ForwardRequest { program: places.program.to_owned(), about, settings, buffer })
}

/// Refuse what the driver does not know.
fn only(options: &Options, driver: &str, known: &[&str]) -> Result<()> {
    let unknown =
        options.keys().find(|option| !known.contains(&option.as_str()) && !ABOUT.contains(&option.as_str()));
    unknown.map_or(Ok(()), |option| Err(OptionError::unknown(option, driver)))
}

/// The value of an option that is given, and not empty.
fn given<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    options.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    pub(crate) fn options(list: &[(&str, &str)]) -> Options {
        list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub(crate) fn context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let env = ["X=old".to_owned(), "X=new".to_owned(), "XY=no".to_owned()];
        use_it(&Context {
            id: "0123456789abcdef",
            name: "web",
            created: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            program: "sh",
            args: &["-c".to_owned(), "x".to_owned()],
            image_name: "busybox",
            image_id: "sha256:fedcba9876543210",
            labels: &labels,
            env: &env,
        })
    }

    pub(crate) fn check(driver: &str, list: &[(&str, &str)]) -> std::result::Result<LogRequest, String> {
        let places = Places {
            file: Path::new("/f"),
            cache: Path::new("/c"),
            program: Path::new("/p"),
            journal: Path::new("/j"),
        };
        context(|context| configure(driver, &options(list), context, &places)).map_err(|e| e.to_string())
    }

    #[test]
    fn modes() {
        assert_eq!(
            check("json-file", &[("mode", "fast")]).unwrap_err(),
            "logger: logging mode not supported: fast"
        );
        assert_eq!(
            check("json-file", &[("max-buffer-size", "1m")]).unwrap_err(),
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        );
        assert_eq!(
            check("syslog", &[("mode", "non-blocking"), ("max-buffer-size", "x")]).unwrap_err(),
            "error parsing option max-buffer-size: invalid size: 'x'"
        );
        let buffer = |list: &[(&str, &str)]| check("syslog", list).unwrap().forward.unwrap().buffer;
        assert_eq!(buffer(&[]), None);
        assert_eq!(buffer(&[("mode", "non-blocking")]), Some(1_000_000));
        assert_eq!(buffer(&[("mode", "non-blocking"), ("max-buffer-size", "4m")]), Some(4 << 20));
        assert_eq!(check("nope", &[]).unwrap_err(), "logger: no log driver named 'nope' is registered");
        assert_eq!(
            check("none", &[("max-size", "1k")]).unwrap_err(),
            "unknown log opt 'max-size' for none log driver"
        );
    }

    #[test]
    fn the_cache_has_options_of_its_own() {
        let request = check("syslog", &[("cache-max-size", "1m"), ("labels", "a")]).unwrap();
        assert_eq!((request.driver.as_str(), request.path.as_path()), ("local", Path::new("/c")));
        assert_eq!((request.max_size, request.max_file, request.compress), (1_000_000, 5, true));
        assert_eq!(request.attrs["a"], "1");
        let request = check("syslog", &[("cache-disabled", "true")]).unwrap();
        assert_eq!(request.driver, "none");
        let kept = |list: &[(&str, &str)]| {
            let paths = [Path::new("/f"), Path::new("/c"), Path::new("/p"), Path::new("/j")];
            let [file, cache, program, journal] = paths;
            kept("syslog", &options(list), &Places { file, cache, program, journal }).path
        };
        assert_eq!(kept(&[("syslog-address", "unix:///gone")]), Path::new("/c"));
        assert_eq!(kept(&[("cache-disabled", "1")]), Path::new(""));
        assert_eq!(
            check("syslog", &[("cache-disabled", "x")]).unwrap_err(),
            "invalid value for option cache-disabled: x"
        );
        assert!(check("syslog", &[("cache-max-file", "x")]).is_err());
        assert_eq!(
            check("syslog", &[("cache-nope", "x")]).unwrap_err(),
            "unknown log opt 'cache-nope' for syslog log driver"
        );
    }
}
