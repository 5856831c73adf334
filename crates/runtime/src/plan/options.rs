//! The words in a mount's `options` (`mount(8)`, and the runtime specification's own).

use sys::mount::{Attr, Propagation};

/// Attribute changes of one mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attrs {
    pub(crate) set: Attr,
    pub(crate) clear: Attr,
}

impl Attrs {
    /// A later word wins over an earlier one.
    fn apply(&mut self, bits: Attr, on: bool) {
        let (add, remove) =
            if on { (&mut self.set, &mut self.clear) } else { (&mut self.clear, &mut self.set) };
        if bits.0 & Attr::ATIME_MASK.0 != 0 {
            remove.0 &= !Attr::ATIME_MASK.0;
            add.0 &= !Attr::ATIME_MASK.0;
        }
        remove.0 &= !bits.0;
        add.0 |= bits.0;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.set.is_empty() && self.clear.is_empty()
    }
}

/// All that the words of one mount mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// For this mount.
    pub(crate) attrs: Attrs,
    /// For it and all below.
    pub(crate) recursive: Attrs,
    /// Propagation changes in order; true: of all below, too.
    pub(crate) propagation: Vec<(Propagation, bool)>,
    /// A bind mount; true: with all below.
    pub(crate) bind: Option<bool>,
    /// A tmpfs starts with a copy of what it covers.
    pub(crate) copy_up: bool,
    /// Idmapped with the container's (or the mount's) mapping; true: all below, too.
    pub(crate) idmap: Option<bool>,
    /// A v1 hierarchy (`name=systemd`) of a read-only cgroup mount that is writable all the same: what a service
    /// manager in the container keeps its groups in. A word of our own, `x-cgroup-rw=…`.
    pub(crate) writable_hierarchy: Option<String>,
    /// Not a new mount: changes of the one that is there.
    pub(crate) remount: bool,
    /// What is left: for the filesystem.
    pub(crate) data: Vec<String>,
}

fn attribute(word: &str) -> Option<(Attr, bool)> {
    Some(match word {
        "ro" => (Attr::RDONLY, true),
        "rw" => (Attr::RDONLY, false),
        "nosuid" => (Attr::NOSUID, true),
        "suid" => (Attr::NOSUID, false),
        "nodev" => (Attr::NODEV, true),
        "dev" => (Attr::NODEV, false),
        "noexec" => (Attr::NOEXEC, true),
        "exec" => (Attr::NOEXEC, false),
        "nodiratime" => (Attr::NODIRATIME, true),
        "diratime" => (Attr::NODIRATIME, false),
        "nosymfollow" => (Attr::NOSYMFOLLOW, true),
        "symfollow" => (Attr::NOSYMFOLLOW, false),
        "noatime" => (Attr::NOATIME, true),
        "strictatime" => (Attr::STRICTATIME, true),
        // the kernel's default mode: clearing the others
        "atime" | "relatime" | "norelatime" | "nostrictatime" => (Attr::ATIME_MASK, false),
        _ => return None,
    })
}

fn propagation(word: &str) -> Option<(Propagation, bool)> {
    Some(match word {
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}

/// Reads the words.
pub(crate) fn parse<S: AsRef<str>>(words: &[S]) -> Options {
    let mut options = Options::default();
    for word in words.iter().map(AsRef::as_ref) {
        if let Some((bits, on)) = attribute(word) {
            options.attrs.apply(bits, on);
        } else if let Some((bits, on)) = word.strip_prefix('r').and_then(attribute) {
            options.recursive.apply(bits, on);
        } else if let Some(change) = propagation(word) {
            options.propagation.push(change);
        } else {
            options.other(word);
        }
    }
    options
}

impl Options {
    /// The same, but writable.
    pub(crate) fn writable(&self) -> Self {
        let mut options = self.clone();
        options.attrs.apply(Attr::RDONLY, false);
        options
    }

    fn other(&mut self, word: &str) {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(false),
            "ridmap" => self.idmap = Some(true),
            "remount" => self.remount = true,
            // mount(8)'s words for "nothing special". `silent` is how fsopen(2) is: complaints go to its context and
            // not to the kernel's log. `iversion` can't be said through it: what keeps versions does so by itself
            // (btrfs, xfs, ext4 since Linux 6.x), and others never did, whatever mount(2) was told.
            "silent" | "iversion" | "" | "defaults" | "async" | "nomand" | "noiversion" | "loud" | "user"
            | "nouser" | "auto" | "noauto" | "_netdev" | "nofail" => {}
            word => match word.strip_prefix("x-cgroup-rw=") {
                Some(hierarchy) => self.writable_hierarchy = Some(hierarchy.to_owned()),
                None => self.data.push(word.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_word_wins() {
        assert_eq!(parse(&["ro", "rw"]).attrs, Attrs { set: Attr(0), clear: Attr::RDONLY });
        assert_eq!(parse(&["suid", "nosuid"]).attrs, Attrs { set: Attr::NOSUID, clear: Attr(0) });
        assert_eq!(parse(&["noatime", "strictatime"]).attrs.set, Attr::STRICTATIME);
        assert_eq!(parse(&["noatime", "relatime"]).attrs, Attrs { set: Attr(0), clear: Attr::ATIME_MASK });
    }

    #[test]
    fn recursive_words_are_apart_from_rbind_and_relatime() {
        let options = parse(&["rbind", "rro", "rnosuid", "relatime", "rslave", "ro"]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.recursive.set, Attr::RDONLY | Attr::NOSUID);
        assert_eq!(options.attrs.set, Attr::RDONLY);
        assert_eq!(options.propagation, [(Propagation::Slave, true)]);
        assert_eq!(parse(&["rrw"]).recursive.clear, Attr::RDONLY);
    }

    #[test]
    fn the_rest_is_data() {
        let options = parse(&["nosuid", "size=64m", "mode=1777", "tmpcopyup", "defaults"]);
        assert_eq!(options.data, ["size=64m", "mode=1777"]);
        assert!(!options.remount && parse(&["remount", "ro"]).remount);
        assert!(options.copy_up);
    }
}
