//! `--change`: one Dockerfile instruction on a configuration.

use std::collections::BTreeMap;

use oci::image::{Empty, RunConfig};

use crate::error::{Error, Result};

/// Applies one instruction.
///
/// # Errors
/// It is none of those that change a configuration.
pub(crate) fn apply(config: &mut RunConfig, change: &str) -> Result<()> {
    let change = change.trim();
    let (word, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
    let rest = rest.trim();
    let upper = word.to_ascii_uppercase();
    if rest.is_empty() {
        return Err(Error::bad_parameter(format!("{upper} requires at least one argument")));
    }
    match upper.as_str() {
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)),
        "ENV" => {
            for (name, value) in pairs(rest)? {
                config.env.retain(|var| var.split_once('=').is_none_or(|(have, _)| have != name));
                config.env.push(format!("{name}={value}"));
            }
        }
        "LABEL" => config.labels.get_or_insert_default().extend(pairs(rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                crate::container::parse_port(port)?;
                let port = if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
                config.exposed_ports.get_or_insert_default().insert(port, Empty {});
            }
        }
        "VOLUME" => {
            let paths = list(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            config.volumes.get_or_insert_default().extend(paths.into_iter().map(|path| (path, Empty {})));
        }
        "USER" => rest.clone_into(&mut config.user),
        // a relative one is below the one before
        "WORKDIR" if rest.starts_with('/') => rest.clone_into(&mut config.working_dir),
        "WORKDIR" => {
            config.working_dir = format!("{}/{rest}", config.working_dir.trim_end_matches('/'));
        }
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "ONBUILD" => config.on_build.get_or_insert_default().push(rest.to_owned()),
        "SHELL" => {
            config.shell =
                Some(list(rest).ok_or_else(|| {
                    Error::bad_parameter("SHELL requires the arguments to be in JSON form")
                })?);
        }
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => {
            return Err(Error::bad_parameter(format!(
                "{} is not a valid change command",
                upper.to_ascii_lowercase()
            )));
        }
    }
    Ok(())
}

fn list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// The exec form, or the shell form in a shell.
fn command(text: &str) -> Vec<String> {
    list(text).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

fn healthcheck(mut text: &str) -> Result<oci::image::Healthcheck> {
    let mut check = oci::image::Healthcheck::default();
    while let Some(option) = text.strip_prefix("--") {
        let (option, rest) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let wrong =
            || Error::bad_parameter(format!("HEALTHCHECK --{option}: not an option with a sensible value"));
        let nanos = || nanoseconds(value).filter(|nanos| *nanos >= 1_000_000).ok_or_else(wrong);
        match name {
            "interval" => check.interval = nanos()?,
            "timeout" => check.timeout = nanos()?,
            "start-period" => check.start_period = nanos()?,
            "start-interval" => check.start_interval = nanos()?,
            "retries" => {
                check.retries = value.parse().ok().filter(|retries| *retries > 0).ok_or_else(wrong)?;
            }
            _ => return Err(wrong()),
        }
        text = rest.trim_start();
    }
    let test = match text.split_once(char::is_whitespace) {
        None if text.eq_ignore_ascii_case("none") => vec!["NONE".to_owned()],
        Some((word, rest)) if word.eq_ignore_ascii_case("cmd") => match list(rest.trim()) {
            Some(words) => ["CMD".to_owned()].into_iter().chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), rest.trim().to_owned()],
        },
        _ => {
            return Err(Error::bad_parameter(format!("Unknown type {text:?} in HEALTHCHECK (try CMD)")));
        }
    };
    Ok(oci::image::Healthcheck { test: Some(test), ..check })
}

/// A span as Go writes it: `1m30s`, `1.5h`, `200ms`.
fn nanoseconds(mut text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let mut sum = 0.0;
    while !text.is_empty() {
        let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, rest) = text.split_at(digits);
        let end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum += number.parse::<f64>().ok()? * scale;
        text = rest;
    }
    // more than 292 years are none
    (sum > 0.0 && sum < i64::MAX as f64).then_some(sum as i64)
}

/// `a=b c="d e"`, or `a b` (one pair, the old form).
fn pairs(text: &str) -> Result<BTreeMap<String, String>> {
    let words = words(text);
    if !words.first().is_some_and(|word| word.contains('=')) {
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok([(name.to_owned(), value.trim().to_owned())].into());
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::bad_parameter(format!(
                "Syntax error - can't find = in \"{word}\". Must be of the form: name=value"
            ))),
        })
        .collect()
}

/// Words with quotes and backslashes taken away.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                word.extend(letters.next());
                inside = true;
            }
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                inside = true;
            }
            (space, None) if space.is_whitespace() => {
                if inside {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (other, _) => {
                word.push(other);
                inside = true;
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_change_the_configuration() {
        let mut config = RunConfig::default();
        for change in [
            "CMD [\"a\",\"b\"]",
            "ENV A=1 B=\"2 3\"",
            "LABEL x y",
            "EXPOSE 80",
            "WORKDIR /w",
            "ENTRYPOINT echo hi",
        ] {
            apply(&mut config, change).unwrap();
        }
        assert_eq!(config.cmd.clone().unwrap(), ["a", "b"]);
        assert_eq!(config.env, ["A=1", "B=2 3"]);
        assert_eq!(config.labels.clone().unwrap()["x"], "y");
        assert!(config.exposed_ports.clone().unwrap().contains_key("80/tcp"));
        assert_eq!(config.entrypoint.clone().unwrap(), ["/bin/sh", "-c", "echo hi"]);
        assert!(apply(&mut RunConfig::default(), "RUN x").is_err());
        apply(&mut config, "WORKDIR sub").unwrap();
        assert_eq!(config.working_dir, "/w/sub");
        apply(&mut config, "HEALTHCHECK --interval=1m30s --retries=3 CMD true x").unwrap();
        let check = config.healthcheck.clone().unwrap();
        assert_eq!((check.interval, check.retries), (90_000_000_000, 3));
        assert_eq!(check.test.unwrap(), ["CMD-SHELL", "true x"]);
        for wrong in
            ["--interval=0s CMD x", "--retries=no CMD x", "--other=1 CMD x", "RUN x", "--timeout=5 CMD x"]
        {
            assert!(apply(&mut config, &format!("HEALTHCHECK {wrong}")).is_err(), "{wrong}");
        }
    }
}
