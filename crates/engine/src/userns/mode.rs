//! `--userns` of one container, in Podman's words (`podman-run(1)`).

use sys::idmap::Range;

use super::map::{IdRange, is_sound};
use crate::error::{Error, Result};

/// Whose user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing is said: what the daemon gives everybody.
    Default,
    /// The host's.
    Host,
    /// One with the daemon's mapping, and nothing without it.
    Private,
    /// One with ids that no other container has.
    Auto(Auto),
    /// One in which whoever runs the engine has the same ids, or others that are named.
    Keep(Keep),
    /// One in which whoever runs the engine has none.
    NoMap,
}

/// Who the one who runs the engine is in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    /// None = the same as outside.
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// How many ids there are; none = all.
    pub(crate) size: Option<u32>,
}

/// What is asked of the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Auto {
    /// How many; none = as many as the image needs.
    pub(crate) size: Option<u32>,
    /// Rows that are to be there, whosever they are on the host.
    pub(crate) uids: Vec<IdRange>,
    pub(crate) gids: Vec<IdRange>,
}

/// Parses `HostConfig.UsernsMode`.
///
/// # Errors
/// Another word; an option of `auto` that is none.
pub(crate) fn parse(text: &str) -> Result<Mode> {
    let bad = |sentence: String| Err(Error::bad_parameter(sentence));
    let (word, options) = text.split_once(':').map_or((text, None), |(word, options)| (word, Some(options)));
    match (word, options) {
        ("", None) => Ok(Mode::Default),
        ("host", None) => Ok(Mode::Host),
        ("private", None) => Ok(Mode::Private),
        ("auto", options) => auto(options.unwrap_or_default()).map(Mode::Auto),
        ("keep-id", options) => keep(options.unwrap_or_default()).map(Mode::Keep),
        ("nomap", None) => Ok(Mode::NoMap),
        ("container", Some(_)) => bad(
            "userns mode container: is not supported: a container that joins another's namespaces (--network, --pid, \
             --ipc container:NAME) lives in its user namespace"
                .to_owned(),
        ),
        ("ns", Some(_)) => bad("userns mode ns: is not supported: a path may be another namespace at the next start".to_owned()),
        _ => bad(format!("invalid userns mode: {text}")),
    }
}

fn keep(options: &str) -> Result<Keep> {
    let mut keep = Keep::default();
    for option in options.split(',').filter(|_| !options.is_empty()) {
        let wrong = |why: &str| Error::bad_parameter(format!("userns mode keep-id: {option:?}: {why}"));
        let (key, text) = option.split_once('=').unwrap_or((option, ""));
        let (place, least, most) = match key {
            "uid" => (&mut keep.uid, 0, sys::users::MAX_ID),
            "gid" => (&mut keep.gid, 0, sys::users::MAX_ID),
            "size" => (&mut keep.size, 1, u32::MAX),
            _ => return Err(wrong("the options are uid=N, gid=N and size=N")),
        };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if place.is_some() {
            return Err(wrong("it is given twice"));
        }
        *place = Some(number.ok_or_else(|| wrong("that is no number of an id, or of ids"))?);
    }
    Ok(keep)
}

fn auto(options: &str) -> Result<Auto> {
    let mut auto = Auto::default();
    for option in options.split(',').filter(|_| !options.is_empty()) {
        let wrong = |why: &str| Error::bad_parameter(format!("userns mode auto: {option:?}: {why}"));
        match option.split_once('=') {
            Some(("size", _)) if auto.size.is_some() => return Err(wrong("size is given twice")),
            Some(("size", text)) => {
                let size = text.parse().ok().filter(|size| *size > 0);
                auto.size = Some(size.ok_or_else(|| wrong("a size is a number of ids, at least one"))?);
            }
            Some(("uidmapping", text)) => auto.uids.push(row(text).map_err(wrong)?),
            Some(("gidmapping", text)) => auto.gids.push(row(text).map_err(wrong)?),
            _ => return Err(wrong("the options are size=N, uidmapping=… and gidmapping=…")),
        }
    }
    for (rows, what) in [(&auto.uids, "uidmapping"), (&auto.gids, "gidmapping")] {
        if !rows.is_empty() && !is_sound(rows) {
            return Err(Error::bad_parameter(format!(
                "userns mode auto: {what}: rows overlap, or are too many"
            )));
        }
    }
    Ok(auto)
}

fn row(text: &str) -> Result<IdRange, &'static str> {
    const FORM: &str = "a mapping is CONTAINER_ID:HOST_ID:SIZE, three numbers";
    let Range { inside, outside, count } = Range::of_fields(text.split(':')).ok_or(FORM)?;
    let range = IdRange { inside, outside, count };
    if is_sound(&[range]) { Ok(range) } else { Err("the mapping is empty or too long") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_podmans() {
        assert_eq!(parse("").unwrap(), Mode::Default);
        assert_eq!(parse("host").unwrap(), Mode::Host);
        assert_eq!(parse("private").unwrap(), Mode::Private);
        assert_eq!(parse("auto").unwrap(), Mode::Auto(Auto::default()));
        assert_eq!(parse("keep-id").unwrap(), Mode::Keep(Keep::default()));
        let keep = Keep { uid: Some(5), gid: Some(0), size: Some(1) };
        assert_eq!(parse("keep-id:uid=5,size=1,gid=0").unwrap(), Mode::Keep(keep));
        assert_eq!(parse("nomap").unwrap(), Mode::NoMap);
        assert_eq!(parse("auto:").unwrap(), Mode::Auto(Auto::default()));
        let Mode::Auto(auto) =
            parse("auto:size=70,uidmapping=5:1000:1,gidmapping=0:9:2,gidmapping=2:20:1").unwrap()
        else {
            panic!("not auto")
        };
        assert_eq!(auto.size, Some(70));
        assert_eq!(auto.uids, [IdRange { inside: 5, outside: 1000, count: 1 }]);
        assert_eq!(auto.gids.len(), 2);
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, words) in [
            ("foo", "invalid userns mode: foo"),
            ("host:x", "invalid userns mode"),
            ("container:a", "lives in its user namespace"),
            ("ns:/proc/1/ns/user", "not supported"),
            ("nomap:x", "invalid userns mode"),
            ("keep-id:uid=", "no number of an id"),
            ("keep-id:gid=2147483648", "no number of an id"),
            ("keep-id:size=0", "or of ids"),
            ("keep-id:uid=1,uid=1", "twice"),
            ("keep-id:uid", "no number"),
            ("keep-id:colour=1", "the options are uid=N"),
            ("auto:size=x", "a number of ids"),
            ("auto:size=0", "at least one"),
            ("auto:size=1,size=2", "twice"),
            ("auto:colour=1", "the options are"),
            ("auto:size=1,", "the options are"),
            ("auto:uidmapping=1:2", "three numbers"),
            ("auto:uidmapping=0:@5:1", "three numbers"),
            ("auto:uidmapping=0:5:0", "empty or too long"),
            ("auto:gidmapping=0:4294967295:1", "empty or too long"),
            ("auto:gidmapping=0:5:2,gidmapping=1:9:1", "overlap"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
