//! What is known of variables where an instruction stands.

use std::collections::BTreeMap;

use crate::ast::{Argument, Dockerfile};
use crate::expand;
use crate::predefined;

/// Variables and their values, as far as these are known.
#[derive(Clone, Default)]
pub(super) struct Scope(pub(super) BTreeMap<String, String>);

impl Scope {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// A text with what is known put in; as it is where it can't be expanded.
    pub(super) fn expand(&self, text: &str, escape: char) -> String {
        expand::word(text, escape, &|name| self.0.get(name).cloned()).unwrap_or_else(|_| text.to_owned())
    }

    /// The known variable that was probably meant.
    pub(super) fn near(&self, name: &str) -> Option<String> {
        crate::suggest::nearest(name, self.0.keys().map(String::as_str))
    }
}

/// Platform arguments: they have values, which ones is decided later.
pub(super) fn platform() -> Scope {
    let mut scope = Scope::default();
    for name in predefined::PLATFORM {
        let value = match name {
            "TARGETPLATFORM" | "BUILDPLATFORM" => "linux/amd64",
            "TARGETOS" | "BUILDOS" => "linux",
            "TARGETARCH" | "BUILDARCH" => "amd64",
            _ => "",
        };
        scope.set(name, value);
    }
    scope.set("TARGETSTAGE", "default");
    scope
}

/// What `FROM`s know: the platform and the `ARG`s before the first of them; with `given` values or defaults alone.
pub(super) fn global(file: &Dockerfile, given: Option<&[(String, String)]>) -> Scope {
    let mut scope = platform();
    for argument in file.args.iter().flat_map(|line| &line.node) {
        declare(&mut scope, argument, given.unwrap_or_default(), None, file.directives.escape);
    }
    scope
}

/// Takes an `ARG` in: the given value, its default, or what an `ARG` before the first `FROM` has for it.
pub(super) fn declare(
    scope: &mut Scope,
    argument: &Argument,
    given: &[(String, String)],
    outer: Option<&Scope>,
    escape: char,
) {
    let given =
        given.iter().rev().find(|(name, _)| *name == argument.name.text).map(|(_, value)| value.clone());
    let default = argument.default.as_ref().map(|default| scope.expand(default, escape));
    let outer = || outer.and_then(|outer| outer.0.get(&argument.name.text).cloned());
    let value = given.or(default).or_else(outer).unwrap_or_default();
    scope.set(argument.name.text.clone(), value);
}
