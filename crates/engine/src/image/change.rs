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
        "WORKDIR" => rest.clone_into(&mut config.working_dir),
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "ONBUILD" => config.on_build.get_or_insert_default().push(rest.to_owned()),
        "SHELL" => {
            config.shell =
                Some(list(rest).ok_or_else(|| {
                    Error::bad_parameter("SHELL requires the arguments to be in JSON form")
                })?);
        }
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => return Err(Error::bad_parameter(format!("{word} is not a valid change command"))),
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

fn healthcheck(text: &str) -> Result<oci::image::Healthcheck> {
    let test = match text.split_once(char::is_whitespace) {
        None if text.eq_ignore_ascii_case("none") => vec!["NONE".to_owned()],
        Some((word, rest)) if word.eq_ignore_ascii_case("cmd") => match list(rest.trim()) {
            Some(words) => ["CMD".to_owned()].into_iter().chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), rest.trim().to_owned()],
        },
        _ => {
            return Err(Error::bad_parameter(format!(
                "HEALTHCHECK {text}: only NONE and CMD without options are understood here"
            )));
        }
    };
    Ok(oci::image::Healthcheck { test: Some(test), ..Default::default() })
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
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.env, ["A=1", "B=2 3"]);
        assert_eq!(config.labels.unwrap()["x"], "y");
        assert!(config.exposed_ports.unwrap().contains_key("80/tcp"));
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "echo hi"]);
        assert!(apply(&mut RunConfig::default(), "RUN x").is_err());
    }
}
