//! config.md, "Linux mount options": each option that must be implemented.

use std::fs;

use crate::bundle::Bundle;
use crate::subject::Subject;

/// A tmpfs with these options: what `mountinfo` says of it.
fn tmpfs(r: &Subject, options: &[&str]) -> String {
    let mut b = Bundle::new(r, "grep ' /a ' /proc/self/mountinfo");
    b.mount("/a", "tmpfs", "tmpfs", options);
    let out = b.output();
    // the options of the mount, and of the file system
    let fields: Vec<&str> = out.split_whitespace().collect();
    format!(",{},{},{},", fields[5], fields.last().unwrap(), fields[6])
}

/// A bind mount with these options.
fn bound(r: &Subject, options: &[&str]) -> String {
    let mut b = Bundle::new(r, "grep ' /a ' /proc/self/mountinfo");
    fs::create_dir(b.path().join("source")).unwrap();
    let source = b.path().join("source").display().to_string();
    b.mount("/a", "none", &source, options);
    let out = b.output();
    let fields: Vec<&str> = out.split_whitespace().collect();
    format!(",{},{},", fields[5], fields[6])
}

#[track_caller]
fn has(said: &str, word: &str) {
    assert!(said.contains(&format!(",{word},")), "{word}: {said}");
}

#[track_caller]
fn lacks(said: &str, word: &str) {
    assert!(!said.contains(&format!(",{word},")), "{word}: {said}");
}

requirements! {
    /// `async` must be implemented.
    mount_option_async(r) { lacks(&tmpfs(r, &["async"]), "sync"); }
    /// `atime` must be implemented.
    [departs crun: "does not take back what an earlier word has set"]
    mount_option_atime(r) { lacks(&tmpfs(r, &["noatime", "atime"]), "noatime"); }
    /// `bind` must be implemented.
    mount_option_bind(r) { has(&bound(r, &["bind"]), "rw"); }
    /// `defaults` must be implemented.
    [departs runc: "1.1 hands it to the file system, which does not know it"]
    mount_option_defaults(r) { has(&tmpfs(r, &["defaults"]), "rw"); }
    /// `dev` must be implemented.
    [departs crun: "does not take back what an earlier word has set"]
    mount_option_dev(r) { lacks(&tmpfs(r, &["nodev", "dev"]), "nodev"); }
    /// `diratime` must be implemented.
    [departs crun: "does not take back what an earlier word has set"]
    mount_option_diratime(r) { lacks(&tmpfs(r, &["nodiratime", "diratime"]), "nodiratime"); }
    /// `dirsync` must be implemented.
    mount_option_dirsync(r) { has(&tmpfs(r, &["dirsync"]), "dirsync"); }
    /// `exec` must be implemented.
    [departs crun: "does not take back what an earlier word has set"]
    mount_option_exec(r) { lacks(&tmpfs(r, &["noexec", "exec"]), "noexec"); }
    /// `iversion` must be implemented.
    [departs crun: "hands it to the file system, which does not know it"]
    mount_option_iversion(r) { tmpfs(r, &["iversion"]); }
    /// `lazytime` must be implemented.
    mount_option_lazytime(r) { has(&tmpfs(r, &["lazytime"]), "lazytime"); }
    /// `loud` must be implemented.
    [departs crun: "hands it to the file system, which does not know it"]
    mount_option_loud(r) { tmpfs(r, &["loud"]); }
    /// `noatime` must be implemented.
    mount_option_noatime(r) { has(&tmpfs(r, &["noatime"]), "noatime"); }
    /// `nodev` must be implemented.
    mount_option_nodev(r) { has(&tmpfs(r, &["nodev"]), "nodev"); }
    /// `nodiratime` must be implemented.
    mount_option_nodiratime(r) { has(&tmpfs(r, &["nodiratime"]), "nodiratime"); }
    /// `noexec` must be implemented.
    mount_option_noexec(r) { has(&tmpfs(r, &["noexec"]), "noexec"); }
    /// `noiversion` must be implemented.
    [departs crun: "hands it to the file system, which does not know it"]
    mount_option_noiversion(r) { tmpfs(r, &["noiversion"]); }
    /// `nolazytime` must be implemented.
    mount_option_nolazytime(r) { lacks(&tmpfs(r, &["nolazytime"]), "lazytime"); }
    /// `norelatime` must be implemented.
    mount_option_norelatime(r) { tmpfs(r, &["norelatime"]); }
    /// `nostrictatime` must be implemented.
    mount_option_nostrictatime(r) { tmpfs(r, &["nostrictatime"]); }
    /// `nosuid` must be implemented.
    mount_option_nosuid(r) { has(&tmpfs(r, &["nosuid"]), "nosuid"); }
    /// `private` must be implemented.
    mount_option_private(r) { assert!(!bound(r, &["bind", "private"]).contains("shared:")); }
    /// `rbind` must be implemented.
    mount_option_rbind(r) { has(&bound(r, &["rbind"]), "rw"); }
    /// `relatime` must be implemented.
    mount_option_relatime(r) { has(&tmpfs(r, &["relatime"]), "relatime"); }
    /// `remount` must be implemented.
    mount_option_remount(r) {
        let mut b = Bundle::new(r, "grep ' /a ' /proc/self/mountinfo");
        b.mount("/a", "tmpfs", "tmpfs", &["size=1m"]).mount("/a", "tmpfs", "tmpfs", &["remount", "ro"]);
        let out = b.output();
        assert!(out.lines().count() == 1 && out.contains(" ro,"), "{out}");
    }
    /// `ro` must be implemented.
    mount_option_ro(r) {
        has(&tmpfs(r, &["ro"]), "ro");
        has(&bound(r, &["bind", "ro"]), "ro");
    }
    /// `rprivate` must be implemented.
    mount_option_rprivate(r) { assert!(!bound(r, &["rbind", "rprivate"]).contains("shared:")); }
    /// `rshared` must be implemented.
    [departs crun: "the bind mount does not get it"]
    mount_option_rshared(r) { assert!(bound(r, &["rbind", "rshared"]).contains("shared:")); }
    /// `rslave` must be implemented.
    mount_option_rslave(r) { assert!(!bound(r, &["rbind", "rslave"]).contains("shared:")); }
    /// `runbindable` must be implemented.
    [departs crun: "the bind mount does not get it"]
    mount_option_runbindable(r) { has(&bound(r, &["rbind", "runbindable"]), "unbindable"); }
    /// `rw` must be implemented.
    mount_option_rw(r) { has(&tmpfs(r, &["ro", "rw"]), "rw"); }
    /// `shared` must be implemented.
    [departs crun: "the bind mount does not get it"]
    mount_option_shared(r) { assert!(bound(r, &["bind", "shared"]).contains("shared:")); }
    /// `silent` must be implemented.
    [departs crun: "hands it to the file system, which does not know it"]
    mount_option_silent(r) { tmpfs(r, &["silent"]); }
    /// `slave` must be implemented.
    mount_option_slave(r) { assert!(!bound(r, &["bind", "slave"]).contains("shared:")); }
    /// `strictatime` must be implemented.
    mount_option_strictatime(r) { lacks(&tmpfs(r, &["strictatime"]), "relatime"); }
    /// `suid` must be implemented.
    [departs crun: "does not take back what an earlier word has set"]
    mount_option_suid(r) { lacks(&tmpfs(r, &["nosuid", "suid"]), "nosuid"); }
    /// `sync` must be implemented.
    mount_option_sync(r) { has(&tmpfs(r, &["sync"]), "sync"); }
    /// `unbindable` must be implemented.
    [departs crun: "the bind mount does not get it"]
    mount_option_unbindable(r) { has(&bound(r, &["bind", "unbindable"]), "unbindable"); }
}
