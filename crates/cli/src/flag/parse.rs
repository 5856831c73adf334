//! The parser: words in, values by flag name out.

use super::{Flag, check};

/// What was typed, flag values judged but not yet interpreted.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    values: Vec<(&'static str, String)>,
    defaults: Vec<(&'static str, &'static str)>,
    /// The positional arguments.
    pub(crate) args: Vec<String>,
    /// `--help` was given.
    pub(crate) help: bool,
}

impl Matches {
    /// The last value given, else the default; empty when there is neither.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.given(name).or_else(|| self.default_of(name)).unwrap_or("")
    }

    /// The last value given.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    fn default_of(&self, name: &str) -> Option<&str> {
        self.defaults.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// Whether the flag was typed at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// All values given, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.values.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// All values given, in order, owned.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.all(name).into_iter().map(str::to_owned).collect()
    }

    /// A switch.
    pub(crate) fn bool(&self, name: &str) -> bool {
        check::parse_bool(self.get(name)).unwrap_or(false)
    }

    /// A number, when one was given; the check has already refused what isn't one.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.given(name).and_then(|value| check::parse_int(value).ok())
    }

    /// The positional argument, or an empty one.
    pub(crate) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }
}

/// Parses `words` by `flags`. With `interspersed`, flags may follow positional arguments; without,
/// the first positional argument ends them. The error is the sentence to print.
pub(crate) fn parse(flags: &[Flag], words: &[String], interspersed: bool) -> Result<Matches, String> {
    let mut found = Matches {
        defaults: flags.iter().map(|flag| (flag.name, flag.default)).collect(),
        ..Matches::default()
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            found.args.extend(rest.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            parse_long(flags, long, &mut rest, &mut found)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parse_short(flags, word, &mut rest, &mut found)?;
        } else {
            found.args.push(word.clone());
            if !interspersed {
                found.args.extend(rest.cloned());
                break;
            }
        }
        if found.help {
            break;
        }
    }
    Ok(found)
}

type Words<'a> = std::slice::Iter<'a, String>;

fn parse_long(flags: &[Flag], text: &str, rest: &mut Words<'_>, found: &mut Matches) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(format!("bad flag syntax: --{text}"));
    }
    let Some(flag) = flags.iter().find(|flag| flag.name == name) else {
        if name == "help" {
            found.help = true;
            return Ok(());
        }
        return Err(format!("unknown flag: --{name}"));
    };
    let value = match value {
        Some(value) => value.to_owned(),
        None if flag.is_switch() => "true".to_owned(),
        None => rest.next().cloned().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
    };
    store(flag, value, found)
}

fn parse_short(flags: &[Flag], word: &str, rest: &mut Words<'_>, found: &mut Matches) -> Result<(), String> {
    let group = &word[1..];
    for (at, letter) in group.char_indices() {
        let Some(flag) = flags.iter().find(|flag| flag.short == Some(letter)) else {
            if letter == 'h' {
                found.help = true;
                return Ok(());
            }
            return Err(format!("unknown shorthand flag: '{letter}' in -{}", &group[at..]));
        };
        let after = &group[at + letter.len_utf8()..];
        if let Some(value) = after.strip_prefix('=') {
            return store(flag, value.to_owned(), found);
        }
        if flag.is_switch() {
            store(flag, "true".to_owned(), found)?;
            continue;
        }
        let value = if after.is_empty() {
            rest.next()
                .cloned()
                .ok_or_else(|| format!("flag needs an argument: '{letter}' in -{}", &group[at..]))?
        } else {
            after.to_owned()
        };
        return store(flag, value, found);
    }
    Ok(())
}

fn store(flag: &Flag, value: String, found: &mut Matches) -> Result<(), String> {
    (flag.check)(&value)
        .map_err(|reason| format!("invalid argument \"{value}\" for \"{}\" flag: {reason}", flag.label()))?;
    found.values.push((flag.name, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::bool("interactive", "").short('i'),
        Flag::bool("tty", "").short('t'),
        Flag::bool("sig-proxy", "").default("true"),
        Flag::list("publish", "").short('p'),
        Flag::string("name", ""),
        Flag::bytes("memory", "").short('m'),
    ];

    fn run(line: &str, interspersed: bool) -> Result<Matches, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(FLAGS, &words, interspersed)
    }

    #[test]
    fn groups_and_glued_values() {
        let m = run("-it -p80:80 -p=81:81 --name=x -m 64m img cmd -t", false).unwrap();
        assert!(m.bool("interactive") && m.bool("tty"));
        assert_eq!(m.all("publish"), ["80:80", "81:81"]);
        assert_eq!((m.get("name"), m.get("memory")), ("x", "64m"));
        assert_eq!(m.args, ["img", "cmd", "-t"]);
    }

    #[test]
    fn switches_take_values_only_by_equals() {
        let m = run("--sig-proxy=false --tty false", true).unwrap();
        assert!(!m.bool("sig-proxy") && m.bool("tty"));
        assert_eq!(m.args, ["false"]);
        assert!(run("", true).unwrap().bool("sig-proxy"));
        assert!(run("-i=false", true).unwrap().given("interactive") == Some("false"));
    }

    #[test]
    fn interspersed_flags_and_the_double_dash() {
        let m = run("a -t b -- -i", true).unwrap();
        assert!(m.bool("tty") && !m.bool("interactive"));
        assert_eq!(m.args, ["a", "b", "-i"]);
        assert_eq!(run("- a", true).unwrap().args, ["-", "a"]);
    }

    #[test]
    fn errors_speak_like_docker() {
        let e = |line| run(line, true).unwrap_err();
        assert_eq!(e("--foo=1"), "unknown flag: --foo");
        assert_eq!(e("-iz"), "unknown shorthand flag: 'z' in -z");
        assert_eq!(e("--name"), "flag needs an argument: --name");
        assert_eq!(e("-tp"), "flag needs an argument: 'p' in -p");
        assert_eq!(e("---x"), "bad flag syntax: ---x");
        assert_eq!(e("-m 12q"), "invalid argument \"12q\" for \"-m, --memory\" flag: invalid suffix: 'q'");
        assert_eq!(
            e("--tty=maybe"),
            "invalid argument \"maybe\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
    }
}
