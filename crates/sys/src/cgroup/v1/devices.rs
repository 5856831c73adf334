//! `devices.allow` and `devices.deny` (`admin-guide/cgroup-v1/devices.rst`).

use super::super::devices::DeviceList;
use super::super::dir::Dir;
use super::super::{Controller, DeviceKind, DeviceRule, Error, Result};

pub(super) fn apply(dir: Option<&Dir>, rules: Option<&[DeviceRule]>) -> Result<()> {
    let Some(rules) = rules else { return Ok(()) };
    let list = DeviceList::new(rules);
    let Some(dir) = dir else {
        // A host without the controller can't restrict; that is only right when nothing is to be.
        let missing = Error::NoController { controller: Controller::Devices, setting: "a device list" };
        return if list.allow_by_default && list.exceptions.is_empty() { Ok(()) } else { Err(missing) };
    };
    // The default first: the kernel forgets all exceptions with it, as an update wants.
    dir.write(if list.allow_by_default { "devices.allow" } else { "devices.deny" }, "a")?;
    for rule in &list.exceptions {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        kinds(rule.kind).iter().try_for_each(|kind| dir.write(file, line(*kind, rule)))?;
    }
    Ok(())
}

/// A line of kind `a` would mean every device whatever its numbers, so it becomes one line of each kind.
fn kinds(kind: DeviceKind) -> &'static [char] {
    match kind {
        DeviceKind::All => &['b', 'c'],
        DeviceKind::Block => &['b'],
        DeviceKind::Char => &['c'],
    }
}

fn line(kind: char, rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}

#[cfg(test)]
mod tests {
    use super::super::super::DeviceAccess;
    use super::*;

    #[test]
    fn lines() {
        let access = DeviceAccess::parse("mr").unwrap();
        let rule = DeviceRule { allow: true, kind: DeviceKind::Char, major: Some(136), minor: None, access };
        assert_eq!(line('c', &rule), "c 136:* rm");
    }
}
