//! Device rules reduced to what they mean: a default and its exceptions.

use super::{DeviceAccess, DeviceKind, DeviceRule};

/// A list of rules, normalised. The last rule that fits decides, so a rule for everything makes those
/// before it meaningless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceList {
    /// What happens to a device that no exception names.
    pub(super) allow_by_default: bool,
    /// The rules that follow, in order, duplicates left out.
    pub(super) exceptions: Vec<DeviceRule>,
}

impl DeviceList {
    pub(super) fn new(rules: &[DeviceRule]) -> Self {
        let mut list = Self { allow_by_default: false, exceptions: Vec::with_capacity(rules.len()) };
        for rule in rules {
            if is_everything(rule) {
                list.allow_by_default = rule.allow;
                list.exceptions.clear();
            } else if rule.access.0 != 0 {
                list.exceptions.retain(|earlier| !covers(rule, earlier));
                list.exceptions.push(*rule);
            }
        }
        list.drop_repetitions_of_the_default();
        list
    }

    /// Rules at the front that say the same as the default change nothing.
    fn drop_repetitions_of_the_default(&mut self) {
        let default = self.allow_by_default;
        let keep = self.exceptions.iter().position(|rule| rule.allow != default);
        self.exceptions.drain(..keep.unwrap_or(self.exceptions.len()));
    }
}

fn is_everything(rule: &DeviceRule) -> bool {
    rule.kind == DeviceKind::All
        && rule.major.is_none()
        && rule.minor.is_none()
        && rule.access.contains(DeviceAccess::ALL)
}

/// Does `later` decide every access that `earlier` would?
fn covers(later: &DeviceRule, earlier: &DeviceRule) -> bool {
    (later.kind == DeviceKind::All || later.kind == earlier.kind)
        && (later.major.is_none() || later.major == earlier.major)
        && (later.minor.is_none() || later.minor == earlier.minor)
        && later.access.contains(earlier.access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(
        allow: bool,
        kind: DeviceKind,
        major: Option<u32>,
        minor: Option<u32>,
        access: &str,
    ) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: DeviceAccess::parse(access).unwrap() }
    }

    const EVERYTHING: (DeviceKind, Option<u32>, Option<u32>) = (DeviceKind::All, None, None);

    fn everything(allow: bool) -> DeviceRule {
        rule(allow, EVERYTHING.0, EVERYTHING.1, EVERYTHING.2, "rwm")
    }

    #[test]
    fn a_rule_for_everything_forgets_the_past() {
        let null = rule(true, DeviceKind::Char, Some(1), Some(3), "rwm");
        let list = DeviceList::new(&[null, everything(false), null, null]);
        assert_eq!(list, DeviceList { allow_by_default: false, exceptions: vec![null] });
        let list = DeviceList::new(&[null, everything(true)]);
        assert_eq!(list, DeviceList { allow_by_default: true, exceptions: vec![] });
    }

    #[test]
    fn nothing_given_is_nothing_allowed() {
        assert_eq!(DeviceList::new(&[]), DeviceList { allow_by_default: false, exceptions: vec![] });
    }

    #[test]
    fn a_wider_rule_replaces_a_narrower_one() {
        let narrow = rule(false, DeviceKind::Char, Some(1), Some(3), "w");
        let wide = rule(true, DeviceKind::Char, Some(1), None, "rw");
        assert_eq!(DeviceList::new(&[narrow, wide]).exceptions, [wide]);
        assert_eq!(DeviceList::new(&[wide, narrow]).exceptions, [wide, narrow]);
    }

    #[test]
    fn denials_of_what_is_denied_go() {
        let deny = rule(false, DeviceKind::Block, Some(8), None, "w");
        let allow = rule(true, DeviceKind::Block, Some(9), None, "r");
        assert_eq!(DeviceList::new(&[everything(false), deny, allow]).exceptions, [allow]);
    }
}
