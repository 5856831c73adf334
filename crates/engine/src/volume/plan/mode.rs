//! The words behind the second colon of `-v`.

use crate::container::security::selinux::Sharing;

/// All propagation modes.
pub(in super::super) const PROPAGATIONS: [&str; 6] =
    ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// What the words say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) read_only: bool,
    pub(crate) no_copy: bool,
    /// Empty = not said.
    pub(crate) propagation: String,
    /// `container`, a mapping, or empty.
    pub(crate) id_map: String,
    /// Which containers may use the files, where containers have SELinux's labels; `None` = as they are.
    pub(crate) sharing: Option<Sharing>,
}

/// Reads a mode; `None` when it is none. Of each kind of word there may be one.
pub(crate) fn parse(mode: &str) -> Option<Words> {
    let mut words = Words::default();
    if mode.is_empty() {
        return Some(words);
    }
    let mut seen: Vec<&str> = Vec::new();
    for word in mode.split(',') {
        let kind = match word {
            "ro" | "rw" => {
                words.read_only = word == "ro";
                "access"
            }
            "nocopy" => {
                words.no_copy = true;
                "copy"
            }
            "z" | "Z" => {
                words.sharing = Some(if word == "z" { Sharing::Shared } else { Sharing::Private });
                "label"
            }
            // hints for a virtual machine between
            "consistent" | "cached" | "delegated" => "consistency",
            word if PROPAGATIONS.contains(&word) => {
                word.clone_into(&mut words.propagation);
                "propagation"
            }
            "idmap" => {
                "container".clone_into(&mut words.id_map);
                "idmap"
            }
            other => {
                other.strip_prefix("idmap=")?.clone_into(&mut words.id_map);
                "idmap"
            }
        };
        if seen.contains(&kind) {
            return None;
        }
        seen.push(kind);
    }
    Some(words)
}

/// Reads the mode of `--volumes-from`: access and label only.
pub(super) fn of_volumes_from(mode: &str) -> Option<Words> {
    let words = parse(mode)?;
    let fits = Words { read_only: words.read_only, sharing: words.sharing, ..Words::default() } == words;
    let hints = mode.split(',').any(|word| ["consistent", "cached", "delegated"].contains(&word));
    (fits && !hints).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_of_each_kind() {
        let words = parse("ro,rshared,z,nocopy,cached").unwrap();
        assert!(words.read_only && words.no_copy && words.propagation == "rshared");
        assert_eq!(words.sharing, Some(Sharing::Shared));
        assert_eq!(parse("ro,Z").unwrap().sharing, Some(Sharing::Private));
        for wrong in ["nope", "ro,rw", "z,Z", "ro,", "rshared,rslave", "idmap,idmap", "unbindable"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("idmap=uids=0-1-2;gids=0-1-2").unwrap().id_map, "uids=0-1-2;gids=0-1-2");
        assert_eq!(parse("idmap").unwrap().id_map, "container");
    }

    #[test]
    fn volumes_from_takes_access_and_label() {
        assert!(of_volumes_from("ro,Z").unwrap().read_only);
        assert!(of_volumes_from("").is_some());
        for wrong in ["nocopy", "rshared", "cached", "x"] {
            assert_eq!(of_volumes_from(wrong), None, "{wrong}");
        }
    }
}
