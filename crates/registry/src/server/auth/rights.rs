//! What users may do with which repositories.

use super::Action;
use super::glob;
use crate::server::config::{Right, Rights};
use crate::server::name::Name;

/// Everybody who signed in.
const ANYBODY: &str = "*";
/// Whoever did not.
const NOBODY: &str = "anonymous";

/// The rights of the configuration. Without any, who signed in may do everything, and nobody else anything.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Vec<Rights>);

impl Rules {
    pub(super) fn new(rights: &[Rights]) -> Self {
        Self(rights.to_vec())
    }

    /// Whether a user (none: nobody in particular) may.
    pub(super) fn allow(&self, user: Option<&str>, name: &Name, action: Action) -> bool {
        if self.0.is_empty() {
            return user.is_some();
        }
        self.0.iter().any(|rule| {
            let is_meant = rule.users.iter().any(|one| match user {
                Some(user) => one == ANYBODY || (one == user && one != NOBODY),
                None => one == NOBODY,
            });
            is_meant
                && rule.actions.iter().any(|right| Action::from(*right) == action)
                && rule.repositories.iter().any(|pattern| glob::fits(pattern, name.as_str()))
        })
    }
}

impl From<Right> for Action {
    fn from(right: Right) -> Self {
        match right {
            Right::Pull => Self::Pull,
            Right::Push => Self::Push,
            Right::Delete => Self::Delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(users: &[&str], repositories: &[&str], actions: &[Right]) -> Rights {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Rights { users: texts(users), repositories: texts(repositories), actions: actions.to_vec() }
    }

    #[test]
    fn rights_add_up() {
        let rules = Rules::new(&[
            rule(&["anonymous", "*"], &["public/**"], &[Right::Pull]),
            rule(&["ann"], &["team/*"], &[Right::Pull, Right::Push]),
            rule(&["anonymous"], &["open"], &[Right::Pull]),
        ]);
        let may = |user, name: &str, action| rules.allow(user, &name.parse().unwrap(), action);
        assert!(may(None, "public/a/b", Action::Pull));
        assert!(may(Some("bob"), "public/a/b", Action::Pull));
        assert!(!may(Some("bob"), "public/a/b", Action::Push));
        assert!(may(Some("ann"), "team/a", Action::Push));
        assert!(!may(Some("ann"), "team/a", Action::Delete));
        assert!(!may(Some("bob"), "team/a", Action::Pull));
        assert!(!may(None, "team/a", Action::Pull));
        // a user of that name is not nobody
        assert!(!may(Some("anonymous"), "open", Action::Pull));
    }

    #[test]
    fn without_rules_who_signed_in_may_all() {
        let rules = Rules::new(&[]);
        assert!(rules.allow(Some("ann"), &"a".parse().unwrap(), Action::Delete));
        assert!(!rules.allow(None, &"a".parse().unwrap(), Action::Pull));
    }
}
