//! What a token is for: `repository:library/alpine:pull,push`.

use std::collections::BTreeMap;
use std::fmt;

/// Resources and what may be done with each, always in one order: equal sets have equal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<String, Vec<String>>);

impl Scopes {
    /// Actions (`pull`, `push`, `delete`) on one repository.
    pub(crate) fn repository(path: &str, actions: &[&str]) -> Self {
        let mut scopes = Self::default();
        scopes.add(format!("repository:{path}"), actions.iter().copied());
        scopes
    }

    /// Listing the repositories of a registry.
    pub(crate) fn catalog() -> Self {
        let mut scopes = Self::default();
        scopes.add("registry:catalog".into(), ["*"]);
        scopes
    }

    /// Searching a registry.
    pub(crate) fn search() -> Self {
        let mut scopes = Self::default();
        scopes.add("registry:catalog".into(), ["search"]);
        scopes
    }

    /// Reads scopes with blanks between them, as a challenge has them. What is none is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for word in text.split_ascii_whitespace().take(16) {
            // a name may have colons of its own (a port); actions have none
            let Some((resource, actions)) = word.rsplit_once(':') else { continue };
            if resource.contains(':') {
                scopes.add(resource.into(), actions.split(',').filter(|action| !action.is_empty()).take(16));
            }
        }
        scopes
    }

    /// Everything that either is for.
    #[must_use]
    pub(crate) fn union(mut self, other: &Self) -> Self {
        for (resource, actions) in &other.0 {
            self.add(resource.clone(), actions.iter().map(String::as_str));
        }
        self
    }

    fn add<'a>(&mut self, resource: String, actions: impl IntoIterator<Item = &'a str>) {
        let known = self.0.entry(resource).or_default();
        for action in actions {
            if let Err(at) = known.binary_search_by(|other| other.as_str().cmp(action)) {
                known.insert(at, action.into());
            }
        }
    }

    /// Each resource with its actions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(",")))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_equal() {
        let asked = Scopes::repository("a/b", &["push", "pull"]);
        assert_eq!(asked.to_string(), "repository:a/b:pull,push");
        assert_eq!(asked, Scopes::parse("repository:a/b:pull repository:a/b:push,pull"));
        let both = asked.union(&Scopes::repository("c", &["pull"]));
        assert_eq!(both.to_string(), "repository:a/b:pull,push repository:c:pull");
        assert_eq!(Scopes::catalog().to_string(), "registry:catalog:*");
    }

    #[test]
    fn names_with_ports_and_nonsense() {
        let scopes = Scopes::parse("repository:h:5000/a:pull nonsense a:b");
        assert_eq!(scopes.to_string(), "repository:h:5000/a:pull");
    }
}
