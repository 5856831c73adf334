//! Docker's default capabilities, what is added and dropped, and all of them for the privileged.

use std::collections::{BTreeSet, HashSet};

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
// The runtime leaves out those that the running kernel doesn't know.
use sys::caps::NAMES;

use super::built;
use crate::error::{Error, Result};

/// Capabilities of an ordinary container.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Upper case, without `CAP_`.
fn normal(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

/// Names of a container's capabilities, without `CAP_`.
///
/// # Errors
/// An unknown name.
pub(crate) fn for_container(privileged: bool, add: &[String], drop: &[String]) -> Result<BTreeSet<String>> {
    let known = |name: &String, option: &str| {
        let name = normal(name);
        if name == "ALL" || NAMES.contains(&name.as_str()) {
            return Ok(name);
        }
        Err(Error::bad_parameter(format!("invalid {option}: unknown capability: \"CAP_{name}\"")))
    };
    let add = add.iter().map(|name| known(name, "CapAdd")).collect::<Result<BTreeSet<_>>>()?;
    let drop = drop.iter().map(|name| known(name, "CapDrop")).collect::<Result<BTreeSet<_>>>()?;
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    if privileged {
        return Ok(owned(&NAMES));
    }
    let mut set = match (add.contains("ALL"), drop.contains("ALL")) {
        (true, _) => owned(&NAMES),
        (false, true) => BTreeSet::new(),
        (false, false) => owned(&DEFAULT),
    };
    if !add.contains("ALL") {
        set.extend(add);
    }
    if !drop.contains("ALL") {
        set.retain(|name| !drop.contains(name));
    }
    Ok(set)
}

/// A set of names as the specification's.
fn typed(names: &BTreeSet<String>) -> Result<Capabilities> {
    names
        .iter()
        .map(|name| {
            let text = format!("CAP_{name}");
            let name: serde::de::value::StringDeserializer<serde::de::value::Error> =
                text.into_deserializer();
            Capability::deserialize(name).map_err(|error| Error::because("capability", error))
        })
        .collect::<Result<HashSet<_>>>()
}

/// The five sets: nothing is inheritable or ambient (CVE-2022-24769), and a user other than root gets nothing
/// effective before it executes a file that gives it.
pub(super) fn sets(names: &BTreeSet<String>, root: bool) -> Result<LinuxCapabilities> {
    let all = typed(names)?;
    let own = if root { all.clone() } else { HashSet::new() };
    built(
        LinuxCapabilitiesBuilder::default()
            .bounding(all)
            .permitted(own.clone())
            .effective(own)
            .inheritable(HashSet::new())
            .ambient(HashSet::new())
            .build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(add: &[&str], drop: &[&str]) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for_container(false, &owned(add), &owned(drop)).unwrap().into_iter().collect()
    }

    #[test]
    fn add_and_drop_combine_as_docker_does() {
        assert_eq!(names(&[], &[]).len(), 14);
        assert_eq!(names(&["cap_net_admin"], &["ALL"]), ["NET_ADMIN"]);
        assert_eq!(names(&["ALL"], &["MKNOD"]).len(), 40);
        assert!(for_container(false, &["NOPE".into()], &[]).is_err());
    }

    #[test]
    fn every_name_is_known_to_the_specification() {
        let all = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(typed(&all).unwrap().len(), 41);
    }
}
