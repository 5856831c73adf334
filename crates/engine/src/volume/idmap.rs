//! `idmap`: a mount on which the ids of files are others than on the disk (`mount_setattr(2)`, `MOUNT_ATTR_IDMAP`).
//!
//! `uids=0-1000-1;gids=0-1000-1` shows what belongs to 0 on the disk as 1000's, and writes what 1000 makes as 0's.
//! Several ranges have `#` between: `uids=0-1000-1#1-100000-65535;gids=…`.

use std::os::fd::AsFd;

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

use crate::error::{Error, Result};

/// Most ranges of a mapping (the kernel's limit, `user_namespaces(7)`).
const MOST_RANGES: usize = 340;

/// A range: first id on the disk, first id that is seen, how many.
type Range = (u32, u32, u32);

/// Judges an `idmap` option, and gives what is kept of it.
///
/// # Errors
/// It is no mapping; the container has none of its own to fall back to.
pub(super) fn check(text: &str) -> Result<String> {
    match text {
        "" => {}
        "container" => {
            return Err(Error::bad_parameter(
                "idmap: the container has no user namespace of its own whose mapping could be used: \
                 give one, as in idmap=uids=0-1000-1;gids=0-1000-1",
            ));
        }
        text => drop(parse(text)?),
    }
    Ok(text.to_owned())
}

fn parse(text: &str) -> Result<(Vec<Range>, Vec<Range>)> {
    let wrong = |why: &str| Error::bad_parameter(format!("invalid idmap {text:?}: {why}"));
    if text.contains('@') {
        return Err(wrong("the container has no user namespace that @ could be relative to"));
    }
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for half in text.split(';') {
        let (name, list) = half.split_once('=').ok_or_else(|| wrong("uids=… and gids=… are needed"))?;
        let ranges = ranges(list).map_err(&wrong)?;
        match name {
            "uids" if uids.is_empty() => uids = ranges,
            "gids" if gids.is_empty() => gids = ranges,
            _ => return Err(wrong("only uids and gids can be mapped, and each once")),
        }
    }
    if uids.is_empty() || gids.is_empty() {
        return Err(wrong("both uids and gids are needed"));
    }
    Ok((uids, gids))
}

fn ranges(list: &str) -> Result<Vec<Range>, &'static str> {
    const FORM: &str = "a range is ON-DISK-SEEN-COUNT, three numbers, with # between ranges";
    let range = |text: &str| {
        let numbers: Vec<u32> =
            text.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_error| FORM)?;
        let [disk, seen, count] = numbers[..] else { return Err(FORM) };
        let fits = |first: u32| count > 0 && first.checked_add(count - 1).is_some_and(|last| last < u32::MAX);
        if fits(disk) && fits(seen) { Ok((disk, seen, count)) } else { Err("a range is empty or too long") }
    };
    let ranges = list.split('#').map(range).collect::<Result<Vec<_>, _>>()?;
    if ranges.len() > MOST_RANGES { Err("there are too many ranges") } else { Ok(ranges) }
}

/// Makes a detached mount an idmapped one; an empty text leaves it alone.
///
/// # Errors
/// The file system can't.
pub(super) fn apply(mount: impl AsFd, text: &str, recursive: bool, what: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let (uids, gids) = parse(text)?;
    let (uids, gids) = (mappings(&uids)?, mappings(&gids)?);
    runtime::idmap(mount, &uids, &gids, recursive).map_err(|error| {
        Error::because(format!("idmap: the files of {what} can't be shown with other ids"), error)
    })
}

fn mappings(ranges: &[Range]) -> Result<Vec<LinuxIdMapping>> {
    let one = |&(disk, seen, count): &Range| {
        let mapping = LinuxIdMappingBuilder::default().container_id(disk).host_id(seen).size(count);
        mapping.build().map_err(|error| Error::because("idmap", error))
    };
    ranges.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let (uids, gids) = parse("uids=0-1000-1#1-100000-65535;gids=0-5-2").unwrap();
        assert_eq!((uids, gids), (vec![(0, 1000, 1), (1, 100_000, 65535)], vec![(0, 5, 2)]));
        assert_eq!(check("").unwrap(), "");
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, words) in [
            ("container", "no user namespace"),
            ("uids=0-1-1", "both uids and gids"),
            ("uids=0-1;gids=0-1-1", "three numbers"),
            ("uids=0-1-0;gids=0-1-1", "empty or too long"),
            ("uids=4294967295-1-1;gids=0-1-1", "empty or too long"),
            ("uids=@0-1-1;gids=0-1-1", "relative"),
            ("uids=0-1-1;uids=0-1-1", "each once"),
            ("x", "needed"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
