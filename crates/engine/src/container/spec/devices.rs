//! Device nodes and the rules about which devices may be used.

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};

use super::built;
use crate::container::HostConfig;
use crate::error::{Error, Result};

/// A device of the host that goes inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostDevice {
    /// Path inside.
    pub(crate) path: String,
    /// Block device, or else character device.
    pub(crate) block: bool,
    pub(crate) major: i64,
    pub(crate) minor: i64,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Some of `rwm`.
    pub(crate) access: String,
}

impl HostDevice {
    fn kind(&self) -> LinuxDeviceType {
        if self.block { LinuxDeviceType::B } else { LinuxDeviceType::C }
    }
}

/// Nodes beside those that the runtime makes for every container.
pub(super) fn nodes(devices: &[HostDevice]) -> Result<Vec<LinuxDevice>> {
    let node = |device: &HostDevice| {
        built(
            LinuxDeviceBuilder::default()
                .path(&device.path)
                .typ(device.kind())
                .major(device.major)
                .minor(device.minor)
                .file_mode(device.mode)
                .uid(device.uid)
                .gid(device.gid)
                .build(),
        )
    };
    devices.iter().map(node).collect()
}

/// Rules: nothing, except making nodes, the harmless devices of every container, and what was asked for.
pub(super) fn rules(host: &HostConfig, devices: &[HostDevice]) -> Result<Vec<LinuxDeviceCgroup>> {
    if host.privileged {
        return Ok(vec![rule(true, LinuxDeviceType::A, None, None, "rwm")?]);
    }
    let character = LinuxDeviceType::C;
    let mut rules = vec![
        rule(false, LinuxDeviceType::A, None, None, "rwm")?,
        rule(true, character, None, None, "m")?,
        rule(true, LinuxDeviceType::B, None, None, "m")?,
    ];
    // null, zero, full, tty, random, urandom, console, ptmx, pts
    let common = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (5, Some(0)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(1)),
        (5, Some(2)),
        (136, None),
    ];
    for (major, minor) in common {
        rules.push(rule(true, character, Some(major), minor, "rwm")?);
    }
    for device in devices {
        rules.push(rule(true, device.kind(), Some(device.major), Some(device.minor), &device.access)?);
    }
    for text in &host.resources.device_cgroup_rules {
        rules.push(parse_rule(text)?);
    }
    Ok(rules)
}

fn rule(
    allow: bool,
    kind: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> Result<LinuxDeviceCgroup> {
    let mut rule = built(LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access).build())?;
    rule.set_major(major);
    rule.set_minor(minor);
    Ok(rule)
}

/// `c 1:3 rwm`, with `*` for any number.
///
/// # Errors
/// It is not of that form.
pub(crate) fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let wrong = || Error::bad_parameter(format!("invalid device cgroup rule format: '{text}'"));
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(kind), Some(numbers), Some(access), None) => (kind, numbers, access),
        _ => return Err(wrong()),
    };
    let kind = match kind {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return Err(wrong()),
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        _ => text.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_error| wrong()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    if access.is_empty() || access.len() > 3 || !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(wrong());
    }
    rule(true, kind, number(major)?, number(minor)?, access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_parsed_and_refused() {
        let rule = parse_rule("c 10:* rw").unwrap();
        assert_eq!((rule.major(), rule.minor()), (Some(10), None));
        for wrong in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 rx", "c 1:3 r w"] {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }
}
