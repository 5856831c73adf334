//! `--mount type=…,source=…,target=…`

use api::container::{BindOptions, DriverConfig, ImageOptions, Mount, TmpfsOptions, VolumeOptions};

use crate::flag::check;
use crate::opts::kv;

/// Keys that mean yes when they stand alone.
const SWITCHES: [&str; 6] =
    ["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src", "idmap"];

/// Parses one `--mount`.
pub(crate) fn parse(text: &str) -> Result<Mount, String> {
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for field in kv::csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match value {
            None if !SWITCHES.contains(&key.as_str()) => {
                return Err(format!("invalid field '{field}' must be a key=value pair"));
            }
            None if key == "idmap" => "container".clone_into(&mut mount.id_map),
            _ => set(&mut mount, &key, value.unwrap_or("true"), &field)?,
        }
    }
    finish(mount)
}

fn set(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let switch = || check::parse_bool(value).map_err(|_reason| format!("invalid value for {key}: {value}"));
    let owned = value.to_owned();
    match key {
        "type" => mount.kind = value.to_lowercase(),
        "source" | "src" => mount.source = absolute(value),
        "target" | "dst" | "destination" => mount.target = owned,
        "readonly" | "ro" => mount.read_only = switch()?,
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = switch()?,
        "bind-create-src" => bind(mount).create_mountpoint = switch()?,
        "bind-recursive" => recursive(mount, value)?,
        "volume-nocopy" => volume(mount).no_copy = switch()?,
        "volume-subpath" => volume(mount).subpath = owned,
        "volume-label" => volume(mount).labels.extend(kv::map(&[value])),
        "volume-driver" => driver(mount).name = owned,
        "volume-opt" => driver(mount).options.extend(kv::map(&[value])),
        "image-subpath" => mount.image_options = Some(ImageOptions { subpath: owned }),
        "tmpfs-size" => {
            tmpfs(mount).size_bytes =
                check::parse_bytes(value).map_err(|_reason| format!("invalid value for {key}: {value}"))?;
        }
        "tmpfs-mode" => {
            tmpfs(mount).mode = u32::from_str_radix(value, 8)
                .map_err(|_error| format!("invalid value for {key}: {value}"))?;
        }
        "idmap" => mount.id_map = owned,
        other => return Err(format!("unexpected key '{other}' in '{field}'")),
    }
    Ok(())
}

fn recursive(mount: &mut Mount, value: &str) -> Result<(), String> {
    match value {
        "enabled" => {}
        "disabled" => bind(mount).non_recursive = true,
        "writable" => bind(mount).read_only_non_recursive = true,
        "readonly" => bind(mount).read_only_force_recursive = true,
        _ => {
            return Err(format!(
                "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            ));
        }
    }
    Ok(())
}

/// A path that begins with a dot is relative to here; a name is left alone.
fn absolute(source: &str) -> String {
    if !source.starts_with('.') {
        return source.to_owned();
    }
    std::path::absolute(source).map_or_else(|_| source.to_owned(), |path| path.to_string_lossy().into_owned())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut DriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn finish(mount: Mount) -> Result<Mount, String> {
    if mount.kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    for (theme, set, kind) in [
        ("volume", mount.volume_options.is_some(), "volume"),
        ("bind", mount.bind_options.is_some(), "bind"),
        ("tmpfs", mount.tmpfs_options.is_some(), "tmpfs"),
        ("image", mount.image_options.is_some(), "image"),
    ] {
        if set && mount.kind != kind {
            return Err(format!("cannot mix '{theme}-*' options with mount type '{}'", mount.kind));
        }
    }
    if let Some(options) = &mount.bind_options {
        recursion(options, mount.read_only)?;
    }
    Ok(mount)
}

/// What `bind-recursive` needs beside it.
fn recursion(options: &BindOptions, read_only: bool) -> Result<(), String> {
    let needs = |value: &str, other: &str| {
        Err(format!("option 'bind-recursive={value}' requires '{other}' to be specified in conjunction"))
    };
    if options.read_only_non_recursive && !read_only {
        return needs("writable", "readonly");
    }
    if options.read_only_force_recursive && !read_only {
        return needs("readonly", "readonly");
    }
    if options.read_only_force_recursive && options.propagation != "rprivate" {
        return needs("readonly", "bind-propagation=rprivate");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds() {
        let mount = parse("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave").unwrap();
        assert_eq!((mount.kind.as_str(), mount.source.as_str(), mount.target.as_str()), ("bind", "/a", "/b"));
        assert!(mount.read_only && mount.bind_options.unwrap().propagation == "rslave");
        let mount = parse("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770").unwrap();
        let options = mount.tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (64 << 20, 0o1770));
        assert_eq!(parse("src=v,target=/v,volume-opt=a=b").unwrap().kind, "volume");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text| parse(text).unwrap_err();
        assert_eq!(wrong("foo"), "invalid field 'foo' must be a key=value pair");
        assert_eq!(wrong("type=bind,x=y"), "unexpected key 'x' in 'x=y'");
        assert_eq!(wrong("type=bind,src=/a"), "target is required");
        assert_eq!(wrong(""), "EOF");
        assert!(wrong("dst=/b,\"x").contains("line 1, column 10: extraneous"));
        assert!(wrong("type=bind,dst=/a,bind-recursive=writable").contains("requires 'readonly'"));
        assert!(wrong("type=bind,dst=/a,ro,bind-recursive=readonly").contains("bind-propagation=rprivate"));
        assert_eq!(
            wrong("type=tmpfs,dst=/a,bind-propagation=slave"),
            "cannot mix 'bind-*' options with mount type 'tmpfs'"
        );
    }
}
