//! Parser directives: `# syntax=…`, `# escape=…` and `# check=…` before anything else in the file.

use crate::error::Fault;

/// What the directives say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that the author asks for: `docker/dockerfile:1`. This parser is one; it is told, not obeyed.
    pub syntax: Option<String>,
    /// The character that escapes, and that continues a line: `\` or a backtick.
    pub escape: char,
    /// What of the lint is skipped and whether its warnings are errors.
    pub check: Option<Check>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: None }
    }
}

/// `# check=skip=Rule1,Rule2;error=true;experimental=Rule3`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// All rules are skipped (`skip=all`).
    pub skip_all: bool,
    /// Rules that are skipped.
    pub skip: Vec<String>,
    /// All experimental rules are asked for.
    pub experimental_all: bool,
    /// Experimental rules that are asked for.
    pub experimental: Vec<String>,
    /// A warning fails the build.
    pub error: bool,
}

impl Check {
    /// What stands after `check=`, there and in the build argument `BUILDKIT_DOCKERFILE_CHECK`.
    ///
    /// # Errors
    /// An option that is none, or a value that is no boolean, in BuildKit's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut check = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| format!("invalid check option \"{part}\""))?;
            let names = || value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            match name.trim() {
                "skip" if value.trim() == "all" => check.skip_all = true,
                "skip" => check.skip.extend(names()),
                "experimental" if value.trim() == "all" => check.experimental_all = true,
                "experimental" => check.experimental.extend(names()),
                "error" => {
                    check.error = parse_bool(value.trim()).ok_or_else(|| {
                        format!("failed to parse check option \"error\": \"{}\"", value.trim())
                    })?;
                }
                _ => return Err(format!("invalid check option \"{}\"", name.trim())),
            }
        }
        Ok(check)
    }
}

/// A boolean as Go's `strconv.ParseBool` takes it.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads directives until a line is none.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) directives: Directives,
    seen: Vec<&'static str>,
    done: bool,
}

impl Reader {
    /// Takes the next line of the file, outer spaces removed on the left.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let Some((name, value)) = split(line) else {
            self.done = true;
            return Ok(());
        };
        if self.seen.contains(&name) {
            return Err(Fault::new(format!("only one {name} parser directive can be used")));
        }
        self.seen.push(name);
        match name {
            "syntax" => self.directives.syntax = Some(value.to_owned()),
            "escape" => {
                self.directives.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        return Err(Fault::new(format!(
                            "invalid escape token '{other}' does not match ` or \\"
                        )));
                    }
                }
            }
            _ => self.directives.check = Some(Check::parse(value).map_err(Fault::new)?),
        }
        Ok(())
    }
}

/// Name and value of `# name = value`, if it is a directive that exists.
fn split(line: &str) -> Option<(&'static str, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let name = ["syntax", "escape", "check"].into_iter().find(|known| *known == name)?;
    let value = value.trim();
    (!value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Directives, String> {
        let mut reader = Reader::default();
        lines.iter().try_for_each(|line| reader.line(line)).map_err(|fault| fault.message)?;
        Ok(reader.directives)
    }

    #[test]
    fn directives_come_first_and_once() {
        let read_all =
            read(&["# Escape = `", "#syntax=docker/dockerfile:1", "# check=skip=A,B;error=true"]).unwrap();
        assert_eq!(read_all.escape, '`');
        assert_eq!(read_all.syntax.as_deref(), Some("docker/dockerfile:1"));
        let check = read_all.check.unwrap();
        assert!(check.error && check.skip == ["A", "B"]);
        assert_eq!(read(&["# a comment", "# escape=`"]).unwrap().escape, '\\');
        assert_eq!(read(&["", "# escape=`"]).unwrap().escape, '\\');
        assert_eq!(
            read(&["# escape=`", "# escape=\\"]).unwrap_err(),
            "only one escape parser directive can be used"
        );
        assert_eq!(read(&["# escape=x"]).unwrap_err(), "invalid escape token 'x' does not match ` or \\");
        assert!(read(&["# check=foo=1"]).is_err() && read(&["# check=error=maybe"]).is_err());
    }
}
