//! config.md, "Mounts".

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

fn source(b: &Bundle<'_>) -> String {
    let source = b.path().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "from the host\n").unwrap();
    source.display().to_string()
}

fn mapping(host: u32) -> serde_json::Value {
    json!([{ "containerID": 0, "hostID": host, "size": 65536 }])
}

requirements! {
    /// Mounts must be made in the listed order.
    mounts_must_be_made_in_order(r) {
        let mut b = Bundle::new(r, "ls /a/b");
        let source = source(&b);
        b.mount("/a", "tmpfs", "tmpfs", &[]).mount("/a/b", "bind", &source, &["bind"]);
        assert_eq!(b.output(), "file\n");
        // the other way round the second hides the first
        let mut b = Bundle::new(r, "ls /a");
        b.mount("/a/b", "bind", &source, &["bind"]).mount("/a", "tmpfs", "tmpfs", &[]);
        assert_eq!(b.output(), "");
    }

    /// A relative destination must be taken as relative to `/`.
    relative_destination_must_be_relative_to_the_root(r) {
        let mut b = Bundle::new(r, "cat /a/file");
        let source = source(&b);
        b.spec["process"]["cwd"] = "/tmp".into();
        b.mount("a", "bind", &source, &["bind"]);
        assert_eq!(b.output(), "from the host\n");
    }

    /// The source of a bind mount is absolute, or relative to the bundle.
    relative_bind_source_must_be_relative_to_the_bundle(r) {
        let mut b = Bundle::new(r, "cat /a/file");
        source(&b);
        b.mount("/a", "bind", "source", &["bind"]).write();
        let bundle = b.path().to_str().unwrap();
        assert_eq!(b.call(&["run", "--bundle", bundle, &b.id]).ok(), "from the host\n");
    }

    /// A mount is a bind mount by its options, whatever its type.
    bind_option_must_make_a_bind_mount(r) {
        for option in ["bind", "rbind"] {
            let mut b = Bundle::new(r, "cat /a/file");
            let source = source(&b);
            b.mount("/a", "none", &source, &[option]);
            assert_eq!(b.output(), "from the host\n");
        }
    }

    /// A bind mount of a file.
    bind_source_may_be_a_file(r) {
        let mut b = Bundle::new(r, "cat /some/file");
        let source = source(&b);
        b.mount("/some/file", "bind", &format!("{source}/file"), &["bind"]);
        assert_eq!(b.output(), "from the host\n");
    }

    /// A filesystem type that the kernel does not have must be an error.
    unknown_filesystem_must_be_an_error(r) {
        let mut b = Bundle::new(r, "true");
        b.mount("/a", "no-such-filesystem", "x", &[]);
        b.is_refused();
    }

    /// Options of the file system's own go to it.
    filesystem_options_must_be_passed_on(r) {
        let mut b = Bundle::new(r, "stat -c %a /a; grep ' /a ' /proc/self/mountinfo");
        b.mount("/a", "tmpfs", "tmpfs", &["size=64k", "mode=700"]);
        let out = b.output();
        assert!(out.starts_with("700\n") && out.contains("size=64k"), "{out}");
    }

    /// `idmap` with mappings must use these.
    [departs runc: "1.1 does not know it"]
    idmap_must_use_the_mappings_of_the_mount(r) {
        let mut b = Bundle::new(r, "stat -c %u:%g /a/file");
        let source = source(&b);
        b.mount("/a", "bind", &source, &["bind", "idmap"]);
        let mount = b.spec["mounts"].as_array_mut().unwrap().last_mut().unwrap();
        (mount["uidMappings"], mount["gidMappings"]) = (mapping(7000), mapping(8000));
        assert_eq!(b.output(), "7000:8000\n");
    }

    /// `ridmap` with mappings must use these for what is mounted below, too.
    [departs runc: "1.1 does not know it"]
    ridmap_must_use_the_mappings_of_the_mount(r) {
        let mut b = Bundle::new(r, "stat -c %u:%g /a/file");
        let source = source(&b);
        b.mount("/a", "bind", &source, &["rbind", "ridmap"]);
        let mount = b.spec["mounts"].as_array_mut().unwrap().last_mut().unwrap();
        (mount["uidMappings"], mount["gidMappings"]) = (mapping(7000), mapping(7000));
        assert_eq!(b.output(), "7000:7000\n");
    }

    /// `idmap` without mappings of the mount or the container must be an error.
    [departs runc: "1.1 does not know it"]
    idmap_without_mappings_must_be_an_error(r) {
        let mut b = Bundle::new(r, "true");
        let source = source(&b);
        b.mount("/a", "bind", &source, &["bind", "idmap"]);
        b.is_refused();
    }

    /// `ridmap` without mappings of the mount or the container must be an error.
    [departs runc: "1.1 does not know it", crun: "1.8 does not know it"]
    ridmap_without_mappings_must_be_an_error(r) {
        let mut b = Bundle::new(r, "true");
        let source = source(&b);
        b.mount("/a", "bind", &source, &["rbind", "ridmap"]);
        b.is_refused();
    }

    /// `uidMappings` and `gidMappings` of a mount must be given together.
    [departs runc: "1.1 does not know them"]
    mappings_of_a_mount_must_be_given_together(r) {
        for key in ["uidMappings", "gidMappings"] {
            let mut b = Bundle::new(r, "true");
            let source = source(&b);
            b.mount("/a", "bind", &source, &["bind"]);
            b.spec["mounts"].as_array_mut().unwrap().last_mut().unwrap()[key] = mapping(7000);
            b.is_refused();
        }
    }
}
