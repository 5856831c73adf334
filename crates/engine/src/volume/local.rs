//! Options of the `local` driver: `type`, `device` and `o`, as for mount(8). What they describe is mounted by our own
//! calls when the first container that has the volume starts, detached: it stands in no mount table but those of the
//! containers, and the kernel frees it with the last of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use sys::mount::{Attr, Change, FsContext, Propagation};

use super::Volume;
use crate::error::{Error, Result};

const KNOWN: [&str; 4] = ["type", "o", "device", "size"];
/// What an option needs beside it.
const NEEDED: [(&str, &[&str]); 3] =
    [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];

/// Words of mount(8) that are attributes of the mount: the bit, whether it is set, and mount(2)'s flag.
const WORDS: [(&str, Attr, bool, u64); 15] = [
    ("ro", Attr::RDONLY, true, 0x1),
    ("rw", Attr::RDONLY, false, 0),
    ("nosuid", Attr::NOSUID, true, 0x2),
    ("suid", Attr::NOSUID, false, 0),
    ("nodev", Attr::NODEV, true, 0x4),
    ("dev", Attr::NODEV, false, 0),
    ("noexec", Attr::NOEXEC, true, 0x8),
    ("exec", Attr::NOEXEC, false, 0),
    ("noatime", Attr::NOATIME, true, 0x400),
    ("nodiratime", Attr::NODIRATIME, true, 0x800),
    ("strictatime", Attr::STRICTATIME, true, 0x100_0000),
    ("relatime", Attr::ATIME_MASK, false, 0x20_0000),
    ("atime", Attr::ATIME_MASK, false, 0),
    ("diratime", Attr::NODIRATIME, false, 0),
    ("defaults", Attr(0), false, 0),
];
const MS_BIND: u64 = 0x1000;
const MS_REC: u64 = 0x4000;

/// Judges the options of a volume to be.
///
/// # Errors
/// Docker's sentence about the first that is wrong.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(name) = options.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(Error::bad_parameter(format!("invalid option: {name:?}")));
    }
    if options.contains_key("size") {
        return Err(Error::bad_parameter("quota size requested but no quota support"));
    }
    for (name, needed) in NEEDED {
        let missing = needed.iter().find(|other| !options.contains_key(**other));
        if let Some(missing) = missing.filter(|_| options.contains_key(name)) {
            return Err(Error::bad_parameter(format!("missing required option: {missing:?}")));
        }
    }
    Ok(())
}

/// The words of `o`, sorted by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted<'a> {
    set: u64,
    clear: u64,
    flags: u64,
    /// A bind mount; true: with all below.
    bind: Option<bool>,
    data: Vec<&'a str>,
}

fn words(text: &str) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        if let Some((_, bits, on, flag)) = WORDS.iter().find(|(name, ..)| *name == word) {
            let (add, remove) =
                if *on { (&mut wanted.set, &mut wanted.clear) } else { (&mut wanted.clear, &mut wanted.set) };
            *remove &= !bits.0;
            *add |= bits.0;
            wanted.flags |= flag;
            continue;
        }
        match word {
            "bind" => wanted.bind = Some(wanted.bind.unwrap_or(false)),
            "rbind" => wanted.bind = Some(true),
            data => wanted.data.push(data),
        }
    }
    wanted.flags |= match wanted.bind {
        Some(true) => MS_BIND | MS_REC,
        Some(false) => MS_BIND,
        None => 0,
    };
    wanted
}

/// Mounts what a volume's options describe, anew and detached.
///
/// # Errors
/// Docker's sentence with the kernel's reason.
pub(super) fn mount(volume: &Volume) -> Result<OwnedFd> {
    let option = |name: &str| volume.options.get(name).map_or("", String::as_str);
    let (kind, device, wanted) = (option("type"), option("device"), words(option("o")));
    let place = volume.mountpoint.display();
    let refused = |why: &str| {
        Error::system(format!("error while mounting volume '{place}': failed to mount local volume: {why}"))
    };
    if kind.starts_with("nfs") || kind == "cifs" {
        check_address(&wanted).map_err(|why| refused(&why))?;
    }
    let made = match wanted.bind {
        Some(recursive) => sys::mount::clone_path(device, recursive).map_err(|errno| (errno, None)),
        None => filesystem(kind, device, &wanted.data, wanted.set & Attr::RDONLY.0 != 0),
    };
    made.and_then(|fd| attributes(&fd, &wanted).map(|()| fd).map_err(|errno| (errno, None))).map_err(
        |(errno, message)| {
            let data = secretless(&wanted.data);
            let mut why = format!("mount {device}:{place}, flags: {:#x}", wanted.flags);
            if !data.is_empty() {
                why = format!("{why}, data: {data}");
            }
            let more = message.map(|text| format!(" ({text})")).unwrap_or_default();
            refused(&format!("{why}: {}{more}", reason(errno)))
        },
    )
}

type Made = Result<OwnedFd, (Errno, Option<String>)>;

fn filesystem(kind: &str, device: &str, data: &[&str], read_only: bool) -> Made {
    let context = FsContext::open(kind).map_err(|errno| (errno, None))?;
    let make = || {
        context.set("source", device)?;
        if read_only {
            // of the file system itself too: the device may be read-only
            context.set_flag("ro")?;
        }
        data.iter().try_for_each(|word| context.set_list(word))?;
        context.create()?;
        context.mount(Attr::default())
    };
    make().map_err(|errno| (errno, context.message()))
}

fn attributes(fd: &OwnedFd, wanted: &Wanted<'_>) -> Result<(), Errno> {
    // a copy of a shared mount is its peer: what happens in a container stays there
    let propagation = wanted.bind.map(|_| Propagation::Private);
    let recursive = wanted.bind == Some(true);
    sys::mount::change(fd, &Change { propagation, recursive, ..Change::default() })?;
    let (set, clear) = (Attr(wanted.set), Attr(wanted.clear));
    sys::mount::change(fd, &Change { set, clear, ..Change::default() })
}

/// The kernel does not look names up, and a lookup by the host's libraries would load them into this process.
fn check_address(wanted: &Wanted<'_>) -> Result<(), String> {
    let address = wanted.data.iter().find_map(|word| word.strip_prefix("addr="));
    match address.filter(|address| address.parse::<IpAddr>().is_err()) {
        Some(name) => Err(format!("addr={name}: the server's address must be given as a number")),
        None => Ok(()),
    }
}

/// Mount options as they may be shown.
fn secretless(data: &[&str]) -> String {
    let hide = |word: &&str| match word.split_once('=') {
        Some((name @ ("password" | "pass" | "secret"), _)) => format!("{name}=********"),
        _ => (*word).to_owned(),
    };
    data.iter().map(hide).collect::<Vec<_>>().join(",")
}

/// The kernel's reason as Docker words it.
fn reason(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_judged_as_docker_judges_them() {
        let judge = |pairs: &[(&str, &str)]| check(&options(pairs)).err().map(|error| error.to_string());
        assert_eq!(judge(&[]), None);
        assert_eq!(judge(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=1.2.3.4")]), None);
        assert_eq!(judge(&[("bad", "1")]).unwrap(), "invalid option: \"bad\"");
        assert_eq!(judge(&[("type", "tmpfs")]).unwrap(), "missing required option: \"device\"");
        assert_eq!(judge(&[("o", "bind")]).unwrap(), "missing required option: \"device\"");
        assert!(judge(&[("size", "1g")]).unwrap().contains("no quota support"));
    }

    #[test]
    fn words_are_sorted() {
        let wanted = words("ro,rw,noexec,rbind,addr=1.2.3.4,vers=4");
        assert_eq!(wanted.set, Attr::NOEXEC.0);
        assert_eq!(wanted.clear, Attr::RDONLY.0);
        assert_eq!((wanted.bind, wanted.data.len()), (Some(true), 2));
        assert_eq!(words("bind").flags, MS_BIND);
        assert!(check_address(&words("addr=server")).is_err() && check_address(&words("addr=::1")).is_ok());
        assert_eq!(secretless(&["user=a", "password=b"]), "user=a,password=********");
        assert_eq!(reason(Errno::NOENT), "no such file or directory");
    }
}
