//! What `docker build --check` warns of, by the names and in the words of Docker's build checks
//! (docs.docker.com/reference/build-checks).

mod commands;
mod facts;
mod names;
mod rule;
mod stages;
mod variables;

pub use rule::Rule;

use crate::ast::Dockerfile;
use crate::directive::Check;
use crate::ignore::Patterns;

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which rule is broken.
    pub rule: Rule,
    /// The sentence, with the names that it is about.
    pub message: String,
    /// The first line of the instruction, from 1.
    pub line: usize,
    /// Its last line.
    pub last_line: usize,
}

/// Names and values of the environment of an image, by the reference that a `FROM` comes to; nothing for one that is not
/// known.
pub type Environments<'a> = &'a dyn Fn(&str) -> Option<Vec<String>>;

/// What is known beyond the file. Where nothing is, rules that need it are silent.
#[derive(Default)]
pub struct Known<'a> {
    /// Of base images. Where one is not known, all variables of the stages on it count as set.
    pub environment: Option<Environments<'a>>,
    /// Build arguments that are given.
    pub arguments: &'a [(String, String)],
    /// What the context leaves out.
    pub ignored: Option<&'a Patterns>,
    /// Options that outrank the file's own `# check=`.
    pub check: Option<&'a Check>,
}

/// The warnings about a file, by line; rules that its `# check=` skips are left out, experimental ones too unless it
/// asks for them. [`is_fatal`] says whether they end the build.
pub fn check(file: &Dockerfile, known: &Known<'_>) -> Vec<Warning> {
    let mut warnings = Warnings::default();
    names::check(file, &mut warnings);
    stages::check(file, known, &mut warnings);
    commands::check(file, known, &mut warnings);
    variables::check(file, known, &mut warnings);
    let options = options(file, known);
    let mut found = warnings.0;
    found.retain(|warning| wants(options, warning.rule));
    found.sort_by(|a, b| (a.line, a.rule.name()).cmp(&(b.line, b.rule.name())));
    found
}

/// Does the file ask that a warning fails the build (`# check=error=true`)?
pub fn is_fatal(file: &Dockerfile, known: &Known<'_>) -> bool {
    options(file, known).is_some_and(|options| options.error)
}

fn options<'a>(file: &'a Dockerfile, known: &Known<'a>) -> Option<&'a Check> {
    known.check.or(file.directives.check.as_ref())
}

fn wants(options: Option<&Check>, rule: Rule) -> bool {
    let Some(options) = options else {
        return !rule.is_experimental();
    };
    let named = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(rule.name()));
    let asked = !rule.is_experimental() || options.experimental_all || named(&options.experimental);
    asked && !(options.skip_all || named(&options.skip))
}

/// Warnings so far.
#[derive(Default)]
struct Warnings(Vec<Warning>);

impl Warnings {
    fn add(&mut self, rule: Rule, at: &crate::Location, message: impl Into<String>) {
        let (line, last_line) = (at.first_line, at.last_line);
        self.0.push(Warning { rule, message: message.into(), line, last_line });
    }
}

#[cfg(test)]
mod tests;
