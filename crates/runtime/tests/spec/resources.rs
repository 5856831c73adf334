//! config-linux.md: cgroups and their limits, unified, RDT, sysctl, masked and read-only paths, propagation.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, FOREVER};
use crate::subject::Subject;

fn v1() -> bool {
    fs::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes").unwrap()
}

/// Applies the limits; what a file of the controller says then, by its name in version 1 and 2.
fn limit(r: &Subject, resources: Value, controller: &str, old: &str, new: &str) -> String {
    let mut b = Bundle::new(r, FOREVER);
    b.spec["linux"]["resources"] = resources;
    b.create().ok();
    let file = b.cgroup(controller).join(if v1() { old } else { new });
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).trim().to_owned()
}

fn refuses(r: &Subject, key: &str, value: Value) {
    let mut b = Bundle::new(r, FOREVER);
    b.spec["linux"][key] = value;
    b.is_refused();
}

requirements! {
    /// An absolute `cgroupsPath` must be taken from the mount point of cgroups.
    absolute_cgroups_path_must_be_relative_to_the_mount_point(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        let procs = fs::read_to_string(b.cgroup("pids").join("cgroup.procs")).unwrap();
        assert!(procs.lines().any(|line| line == b.pid().to_string()), "{procs}");
    }

    /// The same `cgroupsPath` must lead to the same place each time.
    cgroups_path_must_lead_to_the_same_place(r) {
        let of = |b: &Bundle<'_>| fs::read_to_string(format!("/proc/{}/cgroup", b.pid())).unwrap();
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        let first = of(&b);
        b.end();
        b.create().ok();
        assert_eq!(of(&b), first);
    }

    /// Without `cgroupsPath` the runtime chooses: a container is made all the same.
    cgroups_path_may_be_left_out(r) {
        let mut b = Bundle::new(r, "echo ran");
        b.spec["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        assert_eq!(b.output(), "ran\n");
    }

    /// `memory.limit` is the limit.
    memory_limit_must_be_set(r) {
        let value = limit(r, json!({ "memory": { "limit": 50_331_648 } }), "memory", "memory.limit_in_bytes", "memory.max");
        assert_eq!(value, "50331648");
    }

    /// `memory.reservation` is the soft limit.
    memory_reservation_must_be_set(r) {
        let value = limit(r, json!({ "memory": { "reservation": 50_331_648 } }), "memory",
            "memory.soft_limit_in_bytes", "memory.low");
        assert_eq!(value, "50331648");
    }

    /// With `checkBeforeUpdate` a limit below what is used must be rejected.
    limit_below_usage_must_be_rejected(r) {
        let mut b = Bundle::new(r, "dd if=/dev/zero of=/big/file bs=1M count=24 && echo > /mark; exec sleep 1000");
        b.mount("/big", "tmpfs", "tmpfs", &[]);
        b.spec["linux"]["resources"] = json!({ "memory": { "limit": 100_663_296, "checkBeforeUpdate": true } });
        b.create_and_start();
        crate::bundle::eventually("the program", || b.rootfs().join("mark").exists());
        let file = b.path().join("update.json");
        fs::write(&file, json!({ "memory": { "limit": 8_388_608, "checkBeforeUpdate": true } }).to_string()).unwrap();
        let ran = b.call(&["update", "--resources", file.to_str().unwrap(), &b.id]);
        if r.name == "runc" && !v1() {
            // 1.1 looks at it with version 1 of cgroups only
            assert_eq!(ran.code, 0, "runc keeps this now: {ran:?}");
            return;
        }
        ran.refused();
        assert_eq!(b.status(), "running");
    }

    /// `cpu.shares` is the weight.
    cpu_shares_must_be_set(r) {
        let value = limit(r, json!({ "cpu": { "shares": 512 } }), "cpu", "cpu.shares", "cpu.weight");
        assert!(value == "512" || !v1(), "{value}");
    }

    /// `cpu.quota` and `cpu.period` are the bandwidth.
    cpu_quota_must_be_set(r) {
        let value = limit(r, json!({ "cpu": { "quota": 40000, "period": 50000 } }), "cpu", "cpu.cfs_quota_us", "cpu.max");
        assert!(value.starts_with("40000"), "{value}");
    }

    /// `cpu.burst` must not be larger than a quota (a runtime may refuse it; what it must not do is to apply it).
    cpu_burst_must_not_exceed_the_quota(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["linux"]["resources"] = json!({ "cpu": { "quota": 40000, "period": 50000, "burst": 80000 } });
        if b.create().code == 0 {
            let burst = fs::read_to_string(b.cgroup("cpu").join("cpu.cfs_burst_us")).unwrap_or_default();
            assert_ne!(burst.trim(), "80000");
        }
    }

    /// `cpu.cpus` is the set of processors.
    cpu_set_must_be_set(r) {
        let value = limit(r, json!({ "cpu": { "cpus": "0" } }), "cpuset", "cpuset.cpus", "cpuset.cpus");
        assert_eq!(value, "0");
    }

    /// `pids.limit` is the largest number of tasks.
    pids_limit_must_be_set(r) {
        assert_eq!(limit(r, json!({ "pids": { "limit": 33 } }), "pids", "pids.max", "pids.max"), "33");
    }

    /// `unified` that names a controller which is not there must be an error.
    unified_with_an_absent_controller_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["linux"]["resources"] = json!({ "unified": { "nosuch.max": "1" } });
        b.is_refused();
    }

    /// `intelRdt` without a mounted resctrl file system must be an error.
    [departs crun: "1.8 does not know it"]
    rdt_without_resctrl_must_be_an_error(r) {
        assert!(!fs::exists("/sys/fs/resctrl/schemata").unwrap(), "this machine has resctrl");
        refuses(r, "intelRdt", json!({ "closID": "guaranteed", "l3CacheSchema": "L3:0=7f0" }));
    }

    /// `sysctl` is set in the container.
    sysctl_must_be_set(r) {
        let mut b = Bundle::new(r, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced");
        b.spec["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1" });
        assert_eq!(b.output(), "1\n1\n");
    }

    /// A `sysctl` that is not there must be an error.
    unknown_sysctl_must_be_an_error(r) {
        refuses(r, "sysctl", json!({ "net.no.such": "1" }));
    }

    /// A `sysctl` of the host must not be changed.
    sysctl_of_the_host_must_be_an_error(r) {
        let own = fs::read_to_string("/proc/sys/kernel/threads-max").unwrap();
        refuses(r, "sysctl", json!({ "kernel.threads-max": own.trim() }));
    }

    /// Masked files can't be read.
    masked_files_must_not_be_readable(r) {
        let mut b = Bundle::new(r, "cat /secret | wc -c");
        fs::write(b.rootfs().join("secret"), "secret").unwrap();
        b.spec["linux"]["maskedPaths"] = json!(["/secret"]);
        assert_eq!(b.output(), "0\n");
    }

    /// Masked directories can't be read.
    masked_directories_must_not_be_readable(r) {
        let mut b = Bundle::new(r, "ls /dir | wc -l");
        fs::create_dir(b.rootfs().join("dir")).unwrap();
        fs::write(b.rootfs().join("dir/secret"), "secret").unwrap();
        b.spec["linux"]["maskedPaths"] = json!(["/dir", "/not/there"]);
        assert_eq!(b.output(), "0\n");
    }

    /// Masked paths must be absolute.
    masked_paths_must_be_absolute(r) {
        refuses(r, "maskedPaths", json!(["bin"]));
    }

    /// Read-only paths can't be written.
    readonly_paths_must_not_be_writable(r) {
        let mut b = Bundle::new(r, "{ echo x > /dir/file; } 2> /dev/null; ls /dir");
        fs::create_dir(b.rootfs().join("dir")).unwrap();
        b.spec["linux"]["readonlyPaths"] = json!(["/dir"]);
        assert_eq!(b.output(), "");
    }

    /// Read-only paths must be absolute.
    [departs runc: "takes them from where it stands", crun: "takes them from the root"]
    readonly_paths_must_be_absolute(r) {
        refuses(r, "readonlyPaths", json!(["bin"]));
    }

    /// `rootfsPropagation` is the root's.
    [departs runc: "`shared` is lost when the root changes"]
    rootfs_propagation_must_be_set(r) {
        for (word, wanted) in [("private", ""), ("shared", "shared:"), ("unbindable", "unbindable")] {
            let mut b = Bundle::new(r, "grep ' / / \\| /.*rootfs / ' /proc/self/mountinfo");
            b.spec["linux"]["rootfsPropagation"] = word.into();
            let out = b.output();
            let fields = out.split(" - ").next().unwrap();
            assert!(fields.contains(wanted), "{word}: {out}");
            assert!(!wanted.is_empty() || !fields.contains("shared:"), "{word}: {out}");
        }
    }

    /// `personality` is the program's.
    [departs runc: "1.1 does not know it"]
    personality_must_be_set(r) {
        let mut b = Bundle::new(r, "uname -m");
        b.spec["linux"]["personality"] = json!({ "domain": "LINUX32" });
        assert_eq!(b.output(), "i686\n");
    }
}
