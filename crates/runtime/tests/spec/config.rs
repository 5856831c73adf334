//! config.md: version, root, annotations, extensibility, valid values.

use std::fs;

use serde_json::json;

use crate::bundle::{Bundle, FOREVER};

fn refuses(r: &crate::subject::Subject, change: impl FnOnce(&mut serde_json::Value)) {
    let mut b = Bundle::new(r, FOREVER);
    change(&mut b.spec);
    b.is_refused();
}

requirements! {
    /// The configuration must be a file `config.json` in the bundle.
    config_must_be_config_json_of_the_bundle(r) {
        let b = Bundle::new(r, FOREVER);
        fs::write(b.path().join("config"), b.spec.to_string()).unwrap();
        b.call(&["create", &b.id]).refused();
        b.create().ok();
    }

    /// `ociVersion` must be a semantic version.
    [departs runc: "does not read it"]
    oci_version_must_be_semver(r) {
        refuses(r, |spec| spec["ociVersion"] = "not-a-version".into());
    }

    /// A configuration of another major version is not compatible.
    [departs runc: "does not read it"]
    oci_version_of_another_major_must_be_an_error(r) {
        refuses(r, |spec| spec["ociVersion"] = "2.0.0".into());
    }

    /// A configuration of an earlier 1.x version is compatible.
    earlier_oci_version_must_be_accepted(r) {
        for version in ["1.0.0", "1.0.1", "1.0.2"] {
            let mut b = Bundle::new(r, "echo ran");
            b.spec["ociVersion"] = version.into();
            assert_eq!(b.output(), "ran\n");
        }
    }

    /// `root` is required.
    root_must_be_set(r) {
        refuses(r, |spec| drop(spec.as_object_mut().unwrap().remove("root")));
    }

    /// A directory must exist at `root.path`.
    root_path_must_exist(r) {
        refuses(r, |spec| spec["root"]["path"] = "nowhere".into());
    }

    /// What exists at `root.path` must be a directory.
    root_path_must_be_a_directory(r) {
        let mut b = Bundle::new(r, FOREVER);
        fs::write(b.path().join("file"), "").unwrap();
        b.spec["root"]["path"] = "file".into();
        b.is_refused();
    }

    /// `root.path` is relative to the bundle, or absolute.
    root_path_must_be_relative_to_the_bundle_or_absolute(r) {
        let mut b = Bundle::new(r, "echo ran");
        b.write();
        let bundle = b.path().to_str().unwrap();
        assert_eq!(b.call(&["run", "--bundle", bundle, &b.id]).ok(), "ran\n");
        b.spec["root"]["path"] = b.rootfs().to_str().unwrap().into();
        assert_eq!(b.output(), "ran\n");
    }

    /// With `root.readonly` the root must be read-only inside.
    readonly_root_must_be_read_only(r) {
        let mut b = Bundle::new(r, "touch /x; ls -d /x");
        b.spec["root"]["readonly"] = true.into();
        assert_eq!(b.run().out, "");
        assert!(!b.rootfs().join("x").exists());
    }

    /// Without `root.readonly` the root is writable.
    root_must_be_writable_by_default(r) {
        Bundle::new(r, "touch /x && ls /x").output();
    }

    /// `hostname` is what the container sees.
    hostname_must_be_set(r) {
        let mut b = Bundle::new(r, "hostname");
        b.spec["hostname"] = "inside".into();
        assert_eq!(b.output(), "inside\n");
    }

    /// `domainname` is what the container sees.
    [departs runc: "1.1 does not know it"]
    domainname_must_be_set(r) {
        let mut b = Bundle::new(r, "cat /proc/sys/kernel/domainname");
        b.spec["domainname"] = "inside.test".into();
        assert_eq!(b.output(), "inside.test\n");
    }

    /// Annotations must be a map of strings.
    [departs crun: "takes a list for none"]
    annotations_must_be_a_map(r) {
        refuses(r, |spec| spec["annotations"] = json!(["a", "b"]));
    }

    /// Keys of annotations must not be empty.
    [departs runc: "takes an empty key", crun: "takes an empty key"]
    annotation_key_must_not_be_empty(r) {
        refuses(r, |spec| spec["annotations"] = json!({ "": "value" }));
    }

    /// Values of annotations must be strings.
    annotation_value_must_be_a_string(r) {
        refuses(r, |spec| spec["annotations"] = json!({ "key": { "not": "a string" } }));
    }

    /// Values of annotations may be empty.
    annotation_value_may_be_empty(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["annotations"] = json!({ "key": "" });
        b.create().ok();
        assert_eq!(b.state()["annotations"]["key"], "");
    }

    /// Unknown annotation keys must be handled like any unknown property.
    unknown_annotation_must_be_ignored(r) {
        let mut b = Bundle::new(r, "echo ran");
        b.spec["annotations"] = json!({ "org.opencontainers.no-such-key": "x", "com.example.gpu-cores": "2" });
        assert_eq!(b.output(), "ran\n");
    }

    /// Unknown properties must be ignored, and are no error.
    unknown_property_must_be_ignored(r) {
        let mut b = Bundle::new(r, "echo ran");
        b.spec["noSuchProperty"] = json!({ "a": 1 });
        b.spec["process"]["noSuchProperty"] = json!("x");
        b.spec["linux"]["noSuchProperty"] = json!([1, 2]);
        b.spec["linux"]["resources"] = json!({ "noSuchProperty": true });
        b.spec["root"]["noSuchProperty"] = json!(1);
        assert_eq!(b.output(), "ran\n");
    }

    /// Values of the wrong type must be an error.
    [departs crun: "leaves out what is of another type"]
    value_of_the_wrong_type_must_be_an_error(r) {
        refuses(r, |spec| spec["process"]["args"] = "sh".into());
        refuses(r, |spec| spec["root"]["path"] = 1.into());
    }

    /// An unknown type of namespace must be an error.
    invalid_namespace_type_must_be_an_error(r) {
        refuses(r, |spec| spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "no-such" })));
    }

    /// An unknown `rootfsPropagation` must be an error.
    [departs crun: "takes it for private"]
    invalid_rootfs_propagation_must_be_an_error(r) {
        refuses(r, |spec| spec["linux"]["rootfsPropagation"] = "sideways".into());
    }

    /// Text that is no JSON must be an error.
    invalid_json_must_be_an_error(r) {
        let b = Bundle::new(r, FOREVER);
        fs::write(b.path().join("config.json"), "{").unwrap();
        b.call(&["create", &b.id]).refused();
    }
}
