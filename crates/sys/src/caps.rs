//! Capabilities (`capabilities(7)`) by name and as sets.

use rustix::thread::{CapabilitySet as Bits, CapabilitySets};

use crate::{Errno, Result};

/// Names in the order of their numbers, without `CAP_`.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The number of a capability by its name, in any case, with or without `CAP_`.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|n| *n == bare).map(|n| n as u32)
}

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapSet(pub u64);

impl CapSet {
    /// The set of one.
    #[must_use]
    pub fn of(number: u32) -> Self {
        Self(1 << number)
    }

    /// Whether capability `number` is in it.
    #[must_use]
    pub fn has(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }

    /// What both sets have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either set has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, with `CAP_`, in the order of their numbers.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        (0..).zip(NAMES).filter(|(n, _)| self.has(*n)).map(|(_, name)| format!("CAP_{name}")).collect()
    }
}

/// The five sets of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// The limit of what an exec can gain.
    pub bounding: CapSet,
    /// What the kernel checks.
    pub effective: CapSet,
    /// What effective may hold.
    pub permitted: CapSet,
    /// What files with inheritable bits pass on.
    pub inheritable: CapSet,
    /// What an exec of an ordinary file keeps.
    pub ambient: CapSet,
}

impl Sets {
    /// Cut down to what a process that has `have` can grant: a permitted capability must be had, an effective one
    /// permitted, an ambient one permitted and inheritable. The bounding set stays.
    #[must_use]
    pub fn within(self, have: CapSet) -> Self {
        let permitted = self.permitted.and(have);
        let inheritable = self.inheritable.and(have);
        Self {
            bounding: self.bounding,
            effective: self.effective.and(permitted),
            permitted,
            inheritable,
            ambient: self.ambient.and(permitted).and(inheritable),
        }
    }
}

/// All that the running kernel knows, from the calling thread's bounding set upward.
#[must_use]
pub fn known() -> CapSet {
    let known =
        |n: &u32| rustix::thread::capability_is_in_bounding_set(Bits::from_bits_retain(1 << n)).is_ok();
    // numbers grow without gaps: a binary search would save little over `last_cap` lookups of one system call each
    CapSet((0..64).take_while(known).fold(0, |bits, n| bits | 1 << n))
}

/// The calling thread's permitted set.
///
/// # Errors
/// What `capget(2)` says.
pub fn permitted() -> Result<CapSet> {
    Ok(CapSet(rustix::thread::capabilities(None)?.permitted.bits()))
}

/// Drops everything that `keep` lacks from the bounding set. Needs `CAP_SETPCAP`.
///
/// # Errors
/// What `prctl(2)` says.
pub fn limit_bounding(keep: CapSet) -> Result<()> {
    for number in (0..64).filter(|n| !keep.has(*n)) {
        match rustix::thread::remove_capability_from_bounding_set(Bits::from_bits_retain(1 << number)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break, // past the last one that this kernel knows
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Sets effective, permitted and inheritable.
///
/// # Errors
/// What `capset(2)` says.
pub fn set(sets: &Sets) -> Result<()> {
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: Bits::from_bits_retain(sets.effective.0),
            permitted: Bits::from_bits_retain(sets.permitted.0),
            inheritable: Bits::from_bits_retain(sets.inheritable.0),
        },
    )
}

/// Sets what [`rustix::thread::capabilities`] gave before.
///
/// # Errors
/// What `capset(2)` says.
pub(crate) fn set_all(sets: &CapabilitySets) -> Result<()> {
    rustix::thread::set_capabilities(None, *sets)
}

/// Replaces the ambient set; each must be permitted and inheritable already.
///
/// # Errors
/// What `prctl(2)` says.
pub fn set_ambient(ambient: CapSet) -> Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    for number in (0..64).filter(|n| ambient.has(*n)) {
        rustix::thread::configure_capability_in_ambient_set(Bits::from_bits_retain(1 << number), true)?;
    }
    Ok(())
}

/// Whether a change of user from 0 keeps the permitted set (`PR_SET_KEEPCAPS`).
///
/// # Errors
/// What `prctl(2)` says.
pub fn keep_over_setuid(keep: bool) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_prefix() {
        assert_eq!(number("CAP_CHOWN"), Some(0));
        assert_eq!(number("net_bind_service"), Some(10));
        assert_eq!(number("cap_checkpoint_restore"), Some(40));
        assert_eq!(number("CAP_"), None);
        assert_eq!(CapSet(0b101).names(), ["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]);
    }

    #[test]
    fn the_kernel_knows_at_least_what_has_a_name() {
        assert!(known().has(40));
        assert!(!known().has(63));
    }
}
