//! The five capability sets, cut down to what this host can give.

use oci_spec::runtime::{Capabilities, LinuxCapabilities};
use sys::caps::{CapSet, Sets};

fn set(names: Option<&Capabilities>) -> CapSet {
    let numbers = names.into_iter().flatten().filter_map(|c| sys::caps::number(&c.to_string()));
    numbers.fold(CapSet::default(), |all, n| all.or(CapSet::of(n)))
}

/// The sets that the specification asks for; without any, none. The process cuts them to what it can grant.
pub(crate) fn plan(caps: Option<&LinuxCapabilities>) -> Sets {
    let Some(caps) = caps else { return Sets::default() };
    Sets {
        bounding: set(caps.bounding().as_ref()),
        effective: set(caps.effective().as_ref()),
        permitted: set(caps.permitted().as_ref()),
        inheritable: set(caps.inheritable().as_ref()),
        ambient: set(caps.ambient().as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_fits_together() {
        let json = r#"{"bounding":["CAP_CHOWN","CAP_KILL"],"permitted":["CAP_KILL"],"effective":["CAP_KILL","CAP_CHOWN"],
            "ambient":["CAP_KILL"]}"#;
        let caps: LinuxCapabilities = serde_json::from_str(json).unwrap();
        let sets = plan(Some(&caps)).within(CapSet(!0));
        assert_eq!(sets.bounding.names(), ["CAP_CHOWN", "CAP_KILL"]);
        assert_eq!(sets.effective, sets.permitted);
        assert_eq!(sets.ambient, CapSet::default());
        assert_eq!(plan(None), Sets::default());
    }
}
