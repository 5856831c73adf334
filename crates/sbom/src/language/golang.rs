//! Go: modules that are required, and those that a program says it was built of (`debug/buildinfo`).

use std::os::unix::fs::FileExt as _;

use sys::path::Root;

use super::package;
use crate::{Ecosystem, Packages};

type Result<T> = std::result::Result<T, String>;

/// What the section begins with.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes before the first of its texts, since Go 1.18.
const HEAD: usize = 32;
/// The flag that says that its texts stand there themselves.
const INLINE: u8 = 2;
/// Longest section that is read.
const MAX_INFO: u64 = 4 << 20;
/// Most sections, and most bytes of their names.
const MAX_SECTIONS: u64 = 4096;
const MAX_NAMES: u64 = 1 << 20;
/// Marks around the modules' text.
const MARK: usize = 16;

/// `go.mod`
pub(super) fn module(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let mut within = false;
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let required = match (within, line.strip_prefix("require")) {
            (false, Some(rest)) if rest.trim() == "(" => {
                within = true;
                continue;
            }
            (false, Some(rest)) => rest.trim(),
            (false, None) => continue,
            (true, _) if line == ")" => {
                within = false;
                continue;
            }
            (true, _) => line,
        };
        if let Some((name, version)) = required.split_once(' ') {
            found.add(package(Ecosystem::Golang, name, version, "", source));
        }
    }
    Ok(())
}

/// Adds what a program was built of, if it is Go's.
pub(super) fn program(root: &Root, path: &str, found: &mut Packages) {
    // one that can't be opened is none, and neither is one that nobody may run
    let runs = root.lstat(path).is_ok_and(|stat| stat.st_mode & 0o111 != 0 && stat.st_size > 0x1000);
    if !runs {
        return;
    }
    let Ok(file) = root.open_regular(path) else { return };
    let Some(info) = section(&file) else { return };
    for (name, version) in modules(&info) {
        found.add(package(Ecosystem::Golang, &name, &version, "", path));
    }
}

fn at(file: &std::fs::File, offset: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The section `.go.buildinfo` of a 64-bit ELF program of the usual byte order.
fn section(file: &std::fs::File) -> Option<Vec<u8>> {
    let head = at(file, 0, 64)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size) = (number(&head, 40, 8)?, number(&head, 58, 2)?);
    let (count, names) = (number(&head, 60, 2)?, number(&head, 62, 2)?);
    if size != 64 || count > MAX_SECTIONS || names >= count {
        return None;
    }
    let table = at(file, table, count * size)?;
    let entry = |place: u64| table.get(usize::try_from(place * size).ok()?..);
    let lies = |entry: &[u8]| Some((number(entry, 24, 8)?, number(entry, 32, 8)?));
    let (offset, length) = lies(entry(names)?)?;
    let names = at(file, offset, length.min(MAX_NAMES))?;
    let is_info = |place: &u64| {
        let name = entry(*place).and_then(|entry| number(entry, 0, 4));
        let name = name.and_then(|name| names.get(usize::try_from(name).ok()?..));
        name.is_some_and(|name| name.starts_with(b".go.buildinfo\0"))
    };
    let (offset, length) = lies(entry((0..count).find(is_info)?)?)?;
    at(file, offset, length.min(MAX_INFO))
}

/// A text with its length before it, seven bits a byte, the lowest first.
fn counted<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let text = bytes.get(*at..at.checked_add(length)?)?;
            *at += length;
            return Some(text);
        }
    }
    None
}

/// The program's modules, and Go's own library.
fn modules(info: &[u8]) -> Vec<(String, String)> {
    let read = || {
        if !info.starts_with(MAGIC) || info.get(15)? & INLINE == 0 {
            return None;
        }
        let mut at = HEAD;
        let go = String::from_utf8_lossy(counted(info, &mut at)?).into_owned();
        let text = counted(info, &mut at).unwrap_or_default();
        let text = text.get(MARK..text.len().saturating_sub(MARK)).unwrap_or_default();
        Some((go, String::from_utf8_lossy(text).into_owned()))
    };
    let Some((go, text)) = read() else { return Vec::new() };
    let mut all = vec![("stdlib".to_owned(), go.trim_start_matches("go").to_owned())];
    for line in text.lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("mod" | "dep"), Some(name), Some(version)) => {
                all.push((name.to_owned(), version.to_owned()))
            }
            // it stands for the one before
            (Some("=>"), Some(name), Some(version)) => {
                all.pop();
                all.push((name.to_owned(), version.to_owned()));
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_modules() {
        let text = "path\tme\nmod\tme\t(devel)\t\ndep\ta.b/c\tv1.0.0\th1:x\ndep\told\tv1.0.0\n=>\tnew\tv2.0.0\th1:y\nbuild\t-x=1\n";
        let marked = [&[b'm'; MARK][..], text.as_bytes(), &[b'm'; MARK]].concat();
        let length = |count: usize| [(count & 0x7f | 0x80) as u8, (count >> 7) as u8];
        let mut info = MAGIC.to_vec();
        info.extend([8, INLINE]);
        info.resize(HEAD, 0);
        info.extend([6].into_iter().chain(*b"go1.22"));
        info.extend(length(marked.len()).into_iter().chain(marked));
        let all = modules(&info);
        let names: Vec<String> = all.iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(names, ["stdlib 1.22", "me (devel)", "a.b/c v1.0.0", "new v2.0.0"]);
        (0..info.len()).for_each(|end| drop(modules(&info[..end])));
    }

    #[test]
    fn other_programs_have_none() {
        let own = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        assert!(section(&own).is_none());
    }
}
