//! `idmap`: a mount on which the ids of files are others than on the disk (`mount_setattr(2)`, `MOUNT_ATTR_IDMAP`).
//!
//! `uids=0-1000-1;gids=0-1000-1` shows what belongs to 0 on the disk as 1000's, and writes what 1000 makes as 0's.
//! Several ranges have `#` between: `uids=0-1000-1#1-100000-65535;gids=…`.

use std::os::fd::AsFd;

use sys::idmap::{MOST_RANGES, Range};

use crate::container::{MountKind, MountPoint};
use crate::error::{Error, Result};
use crate::userns::{IdMap, IdRange, Ids};

/// The container's own mapping: what is its root's is the host's root's on the disk.
const OWN: &str = "container";

/// Judges an `idmap` option, and gives what is kept of it.
///
/// # Errors
/// It is no mapping.
pub(super) fn check(text: &str) -> Result<String> {
    if !matches!(text, "" | OWN) {
        parse(text)?;
    }
    Ok(text.to_owned())
}

/// Whether files lie on the disk with the ids that they have in the container.
pub(super) fn is_own(point: &MountPoint) -> bool {
    point.id_map == OWN
}

/// Whether the container's own mapping can be had where it is asked for.
///
/// # Errors
/// The container has none.
pub(super) fn check_own(points: &[MountPoint], ids: &Ids) -> Result<()> {
    if *ids == Ids::Host && points.iter().any(is_own) {
        return Err(Error::bad_parameter(
            "idmap: the container has no user namespace of its own whose mapping could be used: \
             give one, as in idmap=uids=0-1000-1;gids=0-1000-1",
        ));
    }
    Ok(())
}

/// Settles whose ids the files of mounts have. Volumes outlive a container whose ids are its own and go with it, so their
/// files lie with the ids inside; which another container that has them from it (`--volumes-from`) sees as they lie, if it
/// has the host's.
pub(super) fn settle(points: &mut [MountPoint], ids: &Ids) {
    for point in points {
        let plain = point.kind == MountKind::Volume && !point.device && point.id_map.is_empty();
        match ids {
            Ids::Host if is_own(point) => point.id_map.clear(),
            Ids::Own if plain => OWN.clone_into(&mut point.id_map),
            _ => {}
        }
    }
}

/// A mapping as it is written; what is inside is on the disk, what is outside is seen.
fn parse(text: &str) -> Result<IdMap> {
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
    Ok(IdMap { uids, gids })
}

fn ranges(list: &str) -> Result<Vec<IdRange>, &'static str> {
    const FORM: &str = "a range is ON-DISK-SEEN-COUNT, three numbers, with # between ranges";
    let range = |text: &str| {
        let range = Range::of_fields(text.split('-')).ok_or(FORM)?;
        let Range { inside, outside, count } = range;
        if range.is_sound() {
            Ok(IdRange { inside, outside, count })
        } else {
            Err("a range is empty or too long")
        }
    };
    let ranges = list.split('#').map(range).collect::<Result<Vec<_>, _>>()?;
    if ranges.len() > MOST_RANGES { Err("there are too many ranges") } else { Ok(ranges) }
}

/// Makes a detached mount an idmapped one; an empty text leaves it alone. `own` is the container's mapping.
///
/// # Errors
/// The file system can't.
pub(super) fn apply(
    mount: impl AsFd,
    text: &str,
    own: Option<&IdMap>,
    recursive: bool,
    what: &str,
) -> Result<()> {
    let (uids, gids) = match (text, own) {
        ("", _) => return Ok(()),
        (OWN, Some(own)) => own.mappings()?,
        (text, _) => parse(text)?.mappings()?,
    };
    runtime::idmap(mount, &uids, &gids, recursive).map_err(|error| {
        Error::because(format!("idmap: the files of {what} can't be shown with other ids"), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let map = parse("uids=0-1000-1#1-100000-65535;gids=0-5-2").unwrap();
        let row = |(inside, outside, count)| IdRange { inside, outside, count };
        assert_eq!(map.uids, [(0, 1000, 1), (1, 100_000, 65535)].map(row));
        assert_eq!(map.gids, [(0, 5, 2)].map(row));
        assert_eq!(check("").unwrap(), "");
    }

    #[test]
    fn volumes_of_ids_that_go_lie_with_those_inside() {
        let point = |kind, text: &str| MountPoint { kind, id_map: text.to_owned(), ..MountPoint::default() };
        let settled = |kind, text: &str, ids: &Ids| {
            let mut points = [point(kind, text)];
            settle(&mut points, ids);
            points[0].id_map.clone()
        };
        let common = Ids::Common(IdMap::default());
        assert_eq!(settled(MountKind::Volume, "", &Ids::Own), OWN);
        assert_eq!(settled(MountKind::Bind, "", &Ids::Own), "");
        assert_eq!(settled(MountKind::Volume, "", &common), "");
        assert_eq!(settled(MountKind::Volume, OWN, &common), OWN);
        assert_eq!(settled(MountKind::Volume, OWN, &Ids::Host), "");
        let asked = [point(MountKind::Bind, OWN)];
        assert!(check_own(&asked, &common).is_ok());
        let error = check_own(&asked, &Ids::Host).unwrap_err().to_string();
        assert!(error.contains("no user namespace"), "{error}");
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, words) in [
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
