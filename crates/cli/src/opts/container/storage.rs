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
    Flag::list("volume", "Mount a directory or a volume").short('v').check(check_volume),
    Flag::string("volume-driver", "Driver of the container's volumes"),
    Flag::list("volumes-from", "Mount the volumes of another container"),
];

fn check_volume(text: &str) -> Result<(), String> {
    if text.is_empty() || text.split(':').count() > 3 && !text.contains('[') {
        return Err(format!("invalid spec: {text}: too many colons"));
    }
    if text.starts_with(':') || text.contains("::") {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    Ok(())
}

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    for text in matches.all("volume") {
        match text.split_once(':') {
            Some((source, rest)) => request.host_config.binds.push(format!("{}:{rest}", absolute(source))),
            None => drop(request.config.volumes.insert(text.to_owned(), api::Empty)),
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

    #[test]
    fn binds_and_anonymous_volumes() {
        let request = plan(&["-v", "/a:/b:ro", "-v", "name:/c", "-v", "/d"]).unwrap();
        assert_eq!(request.host_config.binds, ["/a:/b:ro", "name:/c"]);
        assert!(request.config.volumes.contains_key("/d"));
        let here = std::env::current_dir().unwrap();
        let request = plan(&["-v", "./x:/b", "-v", "..:/c"]).unwrap();
        assert_eq!(request.host_config.binds[0], format!("{}/x:/b", here.display()));
        assert_eq!(request.host_config.binds[1], format!("{}:/c", here.parent().unwrap().display()));
        assert!(plan(&["-v", "a:b:c:d"]).is_err());
    }

    #[test]
    fn tmpfs_and_storage_options() {
        let host = plan(&["--tmpfs", "/t:size=1m,mode=700", "--tmpfs", "/u"]).unwrap().host_config;
        assert_eq!((host.tmpfs["/t"].as_str(), host.tmpfs["/u"].as_str()), ("size=1m,mode=700", ""));
        assert_eq!(plan(&["--storage-opt", "foo"]).unwrap_err(), "invalid storage option");
        assert!(plan(&["--mount", "foo"]).unwrap_err().ends_with("must be a key=value pair"));
    }
}
