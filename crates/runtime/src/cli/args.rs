//! Reading flags, the way runc's library does: `--name value`, `--name=value`, `-n value`; one dash does for a long
//! name, too. Own, because a start has no half millisecond for a general parser.

use anyhow::{Result, anyhow, bail};

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Long name.
    pub(crate) name: &'static str,
    /// One letter, or none.
    pub(crate) short: &'static str,
    /// What its value is called; empty for a switch.
    pub(crate) value: &'static str,
    /// One line of help.
    pub(crate) help: &'static str,
}

/// A switch.
pub(crate) const fn switch(name: &'static str, short: &'static str, help: &'static str) -> Flag {
    Flag { name, short, value: "", help }
}

/// A flag with a value.
pub(crate) const fn option(
    name: &'static str,
    short: &'static str,
    value: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, short, value, help }
}

/// What was typed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    values: Vec<(&'static str, String)>,
    /// The words that are no flags.
    pub(crate) words: Vec<String>,
}

impl Parsed {
    /// The last value given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// All values given.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| v != "false")
    }

    /// The value as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |v: &str| v.parse().or(Err(anyhow!("invalid value \"{v}\" for flag -{name}")));
        self.get(name).map(parse).transpose()
    }

    /// The one container id that the command needs.
    pub(crate) fn id(&self) -> Result<&str> {
        match self.words.as_slice() {
            [] => bail!("container id cannot be empty"),
            [id] => Ok(id),
            [_, extra, ..] => bail!("unexpected argument \"{extra}\""),
        }
    }
}

/// Reads flags up to the first other word; what is left comes back.
pub(crate) fn parse_leading<'w>(
    flags: &'static [Flag],
    words: &'w [String],
) -> Result<(Parsed, &'w [String])> {
    let mut parsed = Parsed::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            at += 1;
            break;
        }
        let Some(name) = word.strip_prefix('-').filter(|n| !n.is_empty()) else { break };
        let name = name.strip_prefix('-').unwrap_or(name);
        let (name, inline) = name.split_once('=').map_or((name, None), |(n, v)| (n, Some(v)));
        if name == "help" || name == "h" {
            parsed.values.push(("help", String::new()));
            at += 1;
            continue;
        }
        let flag = flags.iter().find(|f| f.name == name || (!f.short.is_empty() && f.short == name));
        let flag = flag.ok_or_else(|| anyhow!("flag provided but not defined: -{name}"))?;
        let value = match inline {
            Some(value) => value.to_owned(),
            None if flag.value.is_empty() => String::new(),
            None => {
                at += 1;
                words.get(at).cloned().ok_or_else(|| anyhow!("flag needs an argument: -{name}"))?
            }
        };
        parsed.values.push((flag.name, value));
        at += 1;
    }
    Ok((parsed, words.get(at..).unwrap_or(&[])))
}

/// Reads a command's flags and words; `interspersed` allows flags after words.
pub(crate) fn parse(flags: &'static [Flag], words: &[String], interspersed: bool) -> Result<Parsed> {
    let (mut parsed, mut rest) = parse_leading(flags, words)?;
    while let Some((word, after)) = rest.split_first() {
        parsed.words.push(word.clone());
        if !interspersed {
            parsed.words.extend_from_slice(after);
            break;
        }
        let (more, left) = parse_leading(flags, after)?;
        parsed.values.extend(more.values);
        rest = left;
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] =
        &[option("bundle", "b", "DIR", ""), switch("detach", "d", ""), option("env", "e", "VAR", "")];

    fn run(text: &str, interspersed: bool) -> Result<Parsed> {
        parse(FLAGS, &text.split_whitespace().map(String::from).collect::<Vec<_>>(), interspersed)
    }

    #[test]
    fn all_spellings() {
        for text in ["--bundle /x -d id", "-b /x --detach id", "--bundle=/x -d=true id", "-bundle /x id -d"] {
            let parsed = run(text, true).unwrap();
            assert_eq!(parsed.get("bundle"), Some("/x"), "{text}");
            assert!(parsed.has("detach"), "{text}");
            assert_eq!(parsed.id().unwrap(), "id");
        }
        assert!(!run("-d=false id", true).unwrap().has("detach"));
        let parsed = run("-e a -e b id ls -l", false).unwrap();
        assert_eq!(parsed.all("env").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parsed.words, ["id", "ls", "-l"]);
        assert_eq!(run("id -- -x", true).unwrap().words, ["id", "-x"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(run("--nope", true).unwrap_err().to_string().contains("-nope"));
        assert!(run("--bundle", true).unwrap_err().to_string().contains("needs an argument"));
        assert!(run("a b", true).unwrap().id().is_err());
        assert!(run("", true).unwrap().id().is_err());
    }
}
