//! `json-file`, `local`, `none`, and the cache of the drivers that send output elsewhere.

use std::path::Path;

use shim::protocol::LogRequest;

use super::{given, only, parse};
use crate::context::{Context, Options, Places};
use crate::error::{OptionError, Result};

/// Logs must not fill the disk: `json-file` keeps 3 files of 10 MB. (Docker keeps one that grows for ever.)
const JSON: Rotation = Rotation { max_size: 10_000_000, max_file: 3, compress: false };
/// Docker's defaults for `local` and for the cache: 5 files of 20 MB, compressed.
const LOCAL: Rotation = Rotation { max_size: 20_000_000, max_file: 5, compress: true };
/// Most files a log may have.
const MAX_FILES: i64 = 1000;

/// The options about files.
const OWN: [&str; 3] = ["max-size", "max-file", "compress"];

#[derive(Debug, Clone, Copy)]
struct Rotation {
    max_size: u64,
    max_file: u32,
    compress: bool,
}

pub(super) fn none(options: &Options) -> Result<LogRequest> {
    match options.keys().next() {
        Some(option) => Err(OptionError::unknown(option, "none")),
        None => Ok(LogRequest::default()),
    }
}

pub(super) fn json(options: &Options, context: &Context<'_>, places: &Places<'_>) -> Result<LogRequest> {
    only(options, "json-file", &OWN)?;
    file("json-file", rotation(options, JSON)?, places.file, options, context)
}

pub(super) fn local(options: &Options, context: &Context<'_>, places: &Places<'_>) -> Result<LogRequest> {
    // Docker's words are others here
    if let Some(option) = options
        .keys()
        .find(|option| !OWN.contains(&option.as_str()) && !super::ABOUT.contains(&option.as_str()))
    {
        return Err(OptionError::new(format!("unknown log opt '{option}' for log driver local")));
    }
    file("local", rotation(options, LOCAL)?, places.file, options, context)
}

/// The file beside `driver`; `options` are the driver's own.
pub(super) fn cache(
    cache: &Options,
    options: &Options,
    driver: &str,
    context: &Context<'_>,
    places: &Places<'_>,
) -> Result<LogRequest> {
    let mut own = Options::new();
    let mut disabled = false;
    for (option, value) in cache {
        match option.strip_prefix("cache-").unwrap_or_default() {
            "disabled" if value.is_empty() => {}
            "disabled" => {
                disabled = parse::boolean(value).map_err(|_not_a_boolean| {
                    OptionError::new(format!("invalid value for option {option}: {value}"))
                })?;
            }
            name if OWN.contains(&name) => drop(own.insert(name.to_owned(), value.clone())),
            _ => return Err(OptionError::unknown(option, driver)),
        }
    }
    let rotation = rotation(&own, LOCAL)?;
    if disabled {
        return Ok(LogRequest::default());
    }
    file("local", rotation, places.cache, options, context)
}

fn file(
    format: &str,
    rotation: Rotation,
    path: &Path,
    options: &Options,
    context: &Context<'_>,
) -> Result<LogRequest> {
    let mut attrs = context.attributes(options, str::to_owned)?;
    // without a template of the user's there is no tag
    if given(options, "tag").is_some() {
        attrs.insert("tag".to_owned(), context.tag(options, "")?);
    }
    Ok(LogRequest {
        driver: format.to_owned(),
        path: path.to_owned(),
        max_size: rotation.max_size,
        max_file: rotation.max_file,
        compress: rotation.compress,
        attrs,
        forward: None,
    })
}

fn rotation(options: &Options, default: Rotation) -> Result<Rotation> {
    // Docker's `local` says of which option it speaks
    let local = default.compress;
    let said = |name: &str, value: &str, reason: String| {
        OptionError::new(if local { format!("invalid value for {name}: {value}: {reason}") } else { reason })
    };
    let mut rotation = default;
    match options.get("max-size").map(String::as_str) {
        None => {}
        // no limit
        Some("-1") => rotation.max_size = 0,
        Some(size) => {
            rotation.max_size = parse::decimal_size(size).map_err(|reason| said("max-size", size, reason))?;
            if rotation.max_size == 0 {
                return Err(OptionError::new("max-size must be a positive number"));
            }
        }
    }
    if let Some(count) = options.get("max-file") {
        let count = parse::integer(count).map_err(|reason| said("max-file", count, reason))?;
        if count < 1 {
            return Err(OptionError::new("max-file cannot be less than 1"));
        }
        if count > MAX_FILES {
            return Err(OptionError::new(format!("max-file cannot be more than {MAX_FILES}")));
        }
        rotation.max_file = u32::try_from(count).unwrap_or(u32::MAX);
    }
    let single = rotation.max_file < 2 || rotation.max_size == 0;
    match options.get("compress") {
        Some(compress) => rotation.compress = parse::boolean(compress).map_err(OptionError::new)?,
        None => rotation.compress &= !single,
    }
    if rotation.compress && single {
        return Err(OptionError::new(
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ));
    }
    Ok(rotation)
}

#[cfg(test)]
mod tests {
    use crate::options::tests::check;

    #[test]
    fn defaults() {
        let json = check("json-file", &[]).unwrap();
        assert_eq!((json.max_size, json.max_file, json.compress), (10_000_000, 3, false));
        let local = check("local", &[]).unwrap();
        assert_eq!((local.max_size, local.max_file, local.compress), (20_000_000, 5, true));
        assert!(!check("local", &[("max-file", "1")]).unwrap().compress);
        assert_eq!(check("json-file", &[("max-size", "-1"), ("cache-disabled", "1")]).unwrap().max_size, 0);
    }

    #[test]
    fn attributes() {
        let list = [("labels", "a,c"), ("env", "X"), ("tag", "{{.Name}}/{{.ID}}")];
        for driver in ["json-file", "local"] {
            let attrs = check(driver, &list).unwrap().attrs;
            let want = [("X", "new"), ("a", "1"), ("tag", "web/0123456789ab")];
            assert_eq!(attrs, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        }
    }

    #[test]
    fn refusals_in_dockers_words() {
        for (option, value, words) in [
            ("colour", "1", "unknown log opt 'colour' for json-file log driver"),
            ("max-size", "x", "invalid size: 'x'"),
            ("max-size", "0", "max-size must be a positive number"),
            ("max-file", "x", "strconv.Atoi: parsing \"x\": invalid syntax"),
            ("max-file", "0", "max-file cannot be less than 1"),
            ("compress", "maybe", "strconv.ParseBool: parsing \"maybe\": invalid syntax"),
            ("cache-disabled", "x", "invalid value for option cache-disabled: x"),
        ] {
            assert_eq!(check("json-file", &[(option, value)]).unwrap_err(), words);
        }
        assert_eq!(
            check("json-file", &[("compress", "true"), ("max-file", "1")]).unwrap_err(),
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        );
        assert_eq!(
            check("local", &[("max-file", "x")]).unwrap_err(),
            "invalid value for max-file: x: strconv.Atoi: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            check("local", &[("colour", "1")]).unwrap_err(),
            "unknown log opt 'colour' for log driver local"
        );
    }
}
