//! `FROM`: its base, its platform, and comments that describe it.

use super::facts::{self, Scope};
use super::{Known, Rule, Warnings};
use crate::ast::{Dockerfile, Stage};
use crate::expand;

pub(super) fn check(file: &Dockerfile, known: &Known<'_>, warnings: &mut Warnings) {
    let scope = facts::global(file, Some(known.arguments));
    let defaults = facts::global(file, None);
    for (index, stage) in file.stages.iter().enumerate() {
        undefined(file, stage, &scope, warnings);
        default_base(file, stage, index, &defaults, warnings);
        platform(stage, warnings);
        if let Some(name) = &stage.name {
            described(name, &stage.at, warnings);
        }
    }
    for line in &file.args {
        if let [argument] = line.node.as_slice() {
            described(&argument.name, &line.at, warnings);
        }
    }
}

fn undefined(file: &Dockerfile, stage: &Stage, scope: &Scope, warnings: &mut Warnings) {
    let escape = file.directives.escape;
    let words = [Some(&stage.base), stage.platform.as_ref()];
    for name in words.into_iter().flatten().flat_map(|word| expand::references(word, escape)) {
        if scope.has(&name) {
            continue;
        }
        let hint = scope.near(&name).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        let message = format!("FROM argument '{name}' is not declared{hint}");
        warnings.add(Rule::UndefinedArgInFrom, &stage.at, message);
    }
}

/// With nothing given, the base must still be a reference.
fn default_base(file: &Dockerfile, stage: &Stage, index: usize, defaults: &Scope, warnings: &mut Warnings) {
    let escape = file.directives.escape;
    let names = expand::references(&stage.base, escape);
    let declared = names.iter().all(|name| defaults.has(name));
    let base = defaults.expand(&stage.base, escape);
    let earlier =
        file.stages[..index].iter().any(|other| other.name.as_deref() == Some(&base.to_lowercase()));
    if !stage.base.contains('$') || !declared || earlier || is_reference(&base) {
        return;
    }
    let message = format!("Default value for ARG {} results in empty or invalid base image name", stage.base);
    warnings.add(Rule::InvalidDefaultArgInFrom, &stage.at, message);
}

/// As near as is needed: no empty part, no character that no reference has.
fn is_reference(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']');
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let slash = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[slash..].find(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    };
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && part.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ']')
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    text.chars().all(allowed)
        && name.split('/').all(part)
        && !last.contains(|c: char| c.is_ascii_uppercase())
        && tag.is_none_or(|tag| tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        && digest.is_none_or(|digest| digest.contains(':'))
}

fn platform(stage: &Stage, warnings: &mut Warnings) {
    let Some(platform) = &stage.platform else { return };
    if matches!(&*platform.text, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!(
            "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
        );
        warnings.add(Rule::RedundantTargetPlatform, &stage.at, message);
    } else if !platform.text.is_empty() && !platform.contains('$') {
        let message = format!("FROM --platform flag should not use constant value {:?}", platform.text);
        warnings.add(Rule::FromPlatformFlagConstDisallowed, &stage.at, message);
    }
}

/// A comment right above what has a name begins with it.
fn described(name: &str, at: &crate::Location, warnings: &mut Warnings) {
    let Some(last) = at.comments.last().filter(|comment| !comment.is_empty()) else { return };
    // directives are comments too, of which the first lines are made
    let directive = ["syntax", "escape", "check"]
        .iter()
        .any(|known| last.split('=').next().is_some_and(|first| first.trim().eq_ignore_ascii_case(known)));
    if !directive && last.split_whitespace().next() != Some(name) {
        let message =
            format!("Comment for build stage or argument should follow the format: `# {name} <description>`");
        warnings.add(Rule::InvalidDefinitionDescription, at, message);
    }
}
