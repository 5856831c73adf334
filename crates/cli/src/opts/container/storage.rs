//! Mounts, volumes, and the container's own file system.

use api::container::CreateRequest;

use super::{mount, refuse};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::opts::kv;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("mount", "Mount something in the container")
        .ty("mount")
        .check(|text| mount::parse(text).map(drop)),
    Flag::bool("read-only", "Mount the container's root file system read-only"),
    Flag::list("storage-opt", "Options of the storage driver"),
    Flag::list("tmpfs", "Mount an empty tmpfs"),
    Flag::list("volume", "Mount a directory or a volume").short('v'),
    Flag::string("volume-driver", "Driver of the container's volumes"),
    Flag::list("volumes-from", "Mount the volumes of another container"),
];

/// What is before the first colon that has something on either side; `None` = the text is a path inside only.
pub(crate) fn source(text: &str) -> Result<Option<&str>, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    if text.len() <= 2 {
        return Ok(None);
    }
    let mut sections = sections(text);
    if sections.iter().any(|section| section.is_empty()) {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    if sections.len() > 3 {
        return Err(format!("invalid spec: {text}: too many colons"));
    }
    Ok((sections.len() > 1).then(|| sections.swap_remove(0)))
}

/// Parts between colons; the colon behind a single letter is a drive's, as Docker's client has it on all systems.
fn sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(':') {
        let part = &text[start..at];
        if part.len() == 1 && part.bytes().all(|letter| letter.is_ascii_alphabetic()) {
            continue;
        }
        sections.push(part);
        start = at + 1;
    }
    sections.push(&text[start..]);
    sections
}

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    for text in matches.all("volume") {
        match source(text) {
            Err(why) => return refuse(&why),
            Ok(None) => drop(request.config.volumes.insert(text.to_owned(), api::Empty)),
            Ok(Some(source)) => {
                let rest = text.get(source.len()..).unwrap_or_default();
                let bind = format!("{}{rest}", absolute(source));
                // said twice, it is mounted once
                if !request.host_config.binds.contains(&bind) {
                    request.host_config.binds.push(bind);
                }
            }
        }
    }
    let host = &mut request.host_config;
    host.mounts = matches.all("mount").iter().filter_map(|text| mount::parse(text).ok()).collect();
    host.readonly_rootfs = matches.bool("read-only");
    matches.get("volume-driver").clone_into(&mut host.volume_driver);
    host.volumes_from = matches.list("volumes-from");
    for text in matches.all("tmpfs") {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        host.tmpfs.insert(target.to_owned(), options.to_owned());
    }
    let options = matches.all("storage-opt");
    if options.iter().any(|option| !option.contains('=')) {
        return refuse("invalid storage option");
    }
    host.storage_opt = kv::map(&options);
    Ok(())
}

/// `./dir` is relative to here; a name or an absolute path is left alone.
fn absolute(source: &str) -> String {
    if !source.starts_with('.') {
        return source.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let mut path = here;
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;
    use super::sections;

    #[test]
    fn binds_and_anonymous_volumes() {
        let request = plan(&["-v", "/a:/b:ro", "-v", "name:/c", "-v", "/d"]).unwrap();
        assert_eq!(request.host_config.binds, ["/a:/b:ro", "name:/c"]);
        assert!(request.config.volumes.contains_key("/d"));
        let here = std::env::current_dir().unwrap();
        let request = plan(&["-v", "./x:/b", "-v", "..:/c"]).unwrap();
        assert_eq!(request.host_config.binds[0], format!("{}/x:/b", here.display()));
        assert_eq!(request.host_config.binds[1], format!("{}:/c", here.parent().unwrap().display()));
        for (text, words) in [
            ("", "invalid empty volume spec"),
            ("/a:/b:", "invalid spec: /a:/b:: empty section between colons"),
            ("/a:/b:ro:x:y", "invalid spec: /a:/b:ro:x:y: too many colons"),
        ] {
            assert_eq!(plan(&["-v", text]).unwrap_err(), words);
        }
        assert_eq!(sections("C:/x:/y:ro"), ["C:/x", "/y", "ro"]);
    }

    #[test]
    fn tmpfs_and_storage_options() {
        let host = plan(&["--tmpfs", "/t:size=1m,mode=700", "--tmpfs", "/u"]).unwrap().host_config;
        assert_eq!((host.tmpfs["/t"].as_str(), host.tmpfs["/u"].as_str()), ("size=1m,mode=700", ""));
        assert_eq!(plan(&["--storage-opt", "foo"]).unwrap_err(), "invalid storage option");
        assert!(plan(&["--mount", "foo"]).unwrap_err().ends_with("must be a key=value pair"));
    }
}
