//! `--log-driver` and `--log-opt` checked, and turned into what the shim needs.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::LogError;
use crate::protocol::LogRequest;

/// Rotation is on by default: `json-file` keeps 3 files of 10 MB.
const JSON_SIZE: &str = "10m";
const JSON_FILES: u32 = 3;
/// Docker's defaults for `local`: 5 files of 20 MB, compressed.
const LOCAL_SIZE: &str = "20m";
const LOCAL_FILES: u32 = 5;
/// Most files a log may have.
const MAX_FILES: u32 = 1000;

/// What `labels`, `env` and `tag` pick from.
#[derive(Debug, Clone, Copy)]
pub struct LogContext<'a> {
    /// The container's full id.
    pub id: &'a str,
    /// Its name, without a slash.
    pub name: &'a str,
    /// The image as the user named it.
    pub image_name: &'a str,
    /// The image's full id.
    pub image_id: &'a str,
    /// The container's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment, `NAME=value`.
    pub env: &'a [String],
}

/// Check a driver's options. The log goes to `path`.
///
/// # Errors
/// An unknown driver or option, or a value that makes no sense.
pub fn configure(
    driver: &str,
    options: &BTreeMap<String, String>,
    path: &Path,
    context: &LogContext<'_>,
) -> Result<LogRequest, LogError> {
    let (size, files, compress) = match driver {
        "none" => (LOCAL_SIZE, 1, false),
        "json-file" => (JSON_SIZE, JSON_FILES, false),
        "local" => (LOCAL_SIZE, LOCAL_FILES, true),
        other => return Err(LogError::NoDriver(other.to_owned())),
    };
    let mut request = LogRequest {
        driver: driver.to_owned(),
        path: path.to_owned(),
        max_size: parse_size("max-size", size)?,
        max_file: files,
        compress,
        attrs: BTreeMap::new(),
    };
    for (option, value) in options {
        apply(&mut request, option, value, context)?;
    }
    let single = request.max_file < 2 || request.max_size == 0;
    if request.compress && single {
        if options.get("compress").is_some() {
            let reason = "needs max-file of at least 2 and a max-size";
            return Err(bad("compress", "true", reason));
        }
        request.compress = false;
    }
    Ok(request)
}

fn bad(option: &str, value: &str, reason: &'static str) -> LogError {
    LogError::BadValue { option: option.to_owned(), value: value.to_owned(), reason }
}

fn apply(
    request: &mut LogRequest,
    option: &str,
    value: &str,
    context: &LogContext<'_>,
) -> Result<(), LogError> {
    let json = request.driver == "json-file";
    let files = request.driver != "none";
    match option {
        // The writer puts each chunk into the page cache at once and drops it when the disk is full:
        // neither mode can block the container, and nothing waits in a buffer.
        "mode" if matches!(value, "blocking" | "non-blocking") => {}
        "mode" => return Err(bad(option, value, "must be blocking or non-blocking")),
        "max-buffer-size" => drop(parse_size(option, value)?),
        "max-size" if files => request.max_size = parse_size(option, value)?,
        "max-file" if files => {
            let count = value.parse().ok().filter(|n| (1..=MAX_FILES).contains(n));
            request.max_file = count.ok_or_else(|| bad(option, value, "must be a number from 1 to 1000"))?;
        }
        "compress" if files => request.compress = parse_bool(option, value)?,
        "labels" if json => request.attrs.extend(pick(value, |key| context.labels.get(key).cloned())),
        "env" if json => request.attrs.extend(pick(value, |key| variable(context.env, key))),
        "tag" if json => {
            if !value.is_empty() {
                request.attrs.insert("tag".to_owned(), expand_tag(value, context)?);
            }
        }
        "labels-regex" | "env-regex" if json => {
            return Err(bad(
                option,
                value,
                "selecting by regular expression is not supported; list the names",
            ));
        }
        _ => {
            let (option, driver) = (option.to_owned(), request.driver.clone());
            return Err(LogError::UnknownOption { option, driver });
        }
    }
    Ok(())
}

fn pick(names: &str, find: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let names = names.split(',').filter(|name| !name.is_empty());
    names.filter_map(|name| Some((name.to_owned(), find(name)?))).collect()
}

fn variable(env: &[String], name: &str) -> Option<String> {
    // the last one counts, as for the process itself
    env.iter().rev().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

fn parse_bool(option: &str, value: &str) -> Result<bool, LogError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad(option, value, "must be true or false")),
    }
}

/// A size with a decimal unit, as Docker reads it: `10m` is ten million bytes, `-1` is no limit.
fn parse_size(option: &str, value: &str) -> Result<u64, LogError> {
    if value == "-1" {
        return Ok(0);
    }
    let wrong = || bad(option, value, "must be a size such as 500k, 10m or 1g");
    let text = value.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1e0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "p" => 1e15,
        _ => return Err(wrong()),
    };
    let size = number.parse::<f64>().map_err(|_not_a_number| wrong())? * factor;
    if !(1.0..1e18).contains(&size) {
        return Err(wrong());
    }
    Ok(size as u64)
}

/// The fields of Docker's tag templates; no functions.
fn expand_tag(template: &str, context: &LogContext<'_>) -> Result<String, LogError> {
    let wrong = || {
        bad(
            "tag",
            template,
            "fields are {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageName}}, {{.ImageID}}, {{.ImageFullID}}, {{.DaemonName}}",
        )
    };
    let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (field, after) = after.split_once("}}").ok_or_else(wrong)?;
        out.push_str(before);
        match field.trim() {
            ".ID" => out.push_str(&short(context.id)),
            ".FullID" => out.push_str(context.id),
            ".Name" => out.push_str(context.name),
            ".ImageName" => out.push_str(context.image_name),
            ".ImageID" => out.push_str(&short(context.image_id)),
            ".ImageFullID" => out.push_str(context.image_id),
            ".DaemonName" => out.push_str("docker"),
            _ => return Err(wrong()),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(driver: &str, options: &[(&str, &str)]) -> Result<LogRequest, String> {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let env = ["X=old".to_owned(), "X=new".to_owned(), "XY=no".to_owned()];
        let context = LogContext {
            id: "0123456789abcdef",
            name: "web",
            image_name: "busybox",
            image_id: "sha256:fedcba9876543210",
            labels: &labels,
            env: &env,
        };
        let options = options.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        configure(driver, &options, Path::new("/l"), &context).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults() {
        let json = check("json-file", &[]).unwrap();
        assert_eq!((json.max_size, json.max_file, json.compress), (10_000_000, 3, false));
        let local = check("local", &[]).unwrap();
        assert_eq!((local.max_size, local.max_file, local.compress), (20_000_000, 5, true));
        assert!(!check("local", &[("max-file", "1")]).unwrap().compress);
    }

    #[test]
    fn attributes() {
        let options = [("labels", "a,c"), ("env", "X,Z"), ("tag", "{{.Name}}/{{.ID}}-{{ .ImageID }}")];
        let attrs = check("json-file", &options).unwrap().attrs;
        let want = [("X", "new"), ("a", "1"), ("tag", "web/0123456789ab-fedcba987654")];
        assert_eq!(attrs, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn refusals() {
        assert!(check("syslog", &[]).unwrap_err().contains("'syslog'"));
        assert!(check("json-file", &[("colour", "1")]).unwrap_err().contains("unknown log opt 'colour'"));
        assert!(check("none", &[("max-size", "1k")]).unwrap_err().contains("unknown log opt"));
        for (option, value) in [
            ("max-size", "x"),
            ("max-size", "0"),
            ("max-size", "1.2.3k"),
            ("max-file", "0"),
            ("compress", "maybe"),
            ("mode", "fast"),
            ("tag", "{{.Nope}}"),
            ("tag", "{{.ID"),
            ("labels-regex", ".*"),
        ] {
            assert!(check("json-file", &[(option, value)]).is_err(), "{option}={value}");
        }
        assert!(check("json-file", &[("compress", "true"), ("max-file", "1")]).is_err());
        assert_eq!(check("json-file", &[("max-size", "1.5 kB")]).unwrap().max_size, 1500);
        assert_eq!(check("json-file", &[("max-size", "-1")]).unwrap().max_size, 0);
    }
}
