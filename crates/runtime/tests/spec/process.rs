//! config.md, "Process".

use serde_json::json;

use crate::bundle::{Bundle, FOREVER, eventually, program};

fn refuses(r: &crate::subject::Subject, key: &str, value: serde_json::Value) {
    let mut b = Bundle::new(r, FOREVER);
    b.spec["process"][key] = value;
    let created = b.create();
    if created.code == 0 {
        b.start().refused();
    }
}

requirements! {
    /// `consoleSize` must be ignored without `terminal`.
    console_size_must_be_ignored_without_terminal(r) {
        let mut b = Bundle::new(r, "tty; true");
        b.spec["process"]["consoleSize"] = json!({ "height": 30, "width": 90 });
        assert!(b.output().contains("not a tty"));
    }

    /// With `terminal` the standard streams are a terminal, whose other end the caller gets.
    terminal_must_be_attached_when_asked_for(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["process"]["terminal"] = true.into();
        b.spec["process"]["consoleSize"] = json!({ "height": 30, "width": 90 });
        let (_listener, _master) = with_console(&b);
        let link = std::fs::read_link(format!("/proc/{}/fd/0", b.pid())).unwrap();
        assert!(link.starts_with("/dev/pts") || link.starts_with("/dev/console"), "{}", link.display());
    }

    /// `cwd` must be an absolute path.
    [departs crun: "takes it from the root"]
    cwd_must_be_absolute(r) {
        refuses(r, "cwd", "tmp".into());
    }

    /// `cwd` is where the program starts.
    cwd_must_be_the_working_directory(r) {
        let mut b = Bundle::new(r, "readlink /proc/self/cwd");
        b.spec["process"]["cwd"] = "/tmp".into();
        assert_eq!(b.output(), "/tmp\n");
    }

    /// `env` is the program's environment.
    env_must_be_the_environment(r) {
        let mut b = Bundle::new(r, "env");
        b.spec["process"]["env"] = json!(["PATH=/bin", "WORD=some value", "EMPTY="]);
        let out = b.output();
        assert!(out.contains("WORD=some value\n") && out.contains("EMPTY=\n"), "{out}");
    }

    /// At least one entry of `args` is required.
    args_must_have_an_entry(r) {
        refuses(r, "args", json!([]));
    }

    /// The first entry of `args` is looked for like execvp(3) does: a program that is not there is an error.
    args_must_name_a_program(r) {
        refuses(r, "args", json!(["no-such-program"]));
        refuses(r, "args", json!(["/no/such/program"]));
    }

    /// The first entry of `args` without a slash is looked for in `PATH` of `env`.
    program_must_be_looked_for_in_path(r) {
        let mut b = Bundle::new(r, "");
        std::fs::create_dir(b.rootfs().join("other")).unwrap();
        program("/bin/busybox", &b.rootfs().join("other/echo"));
        std::fs::remove_file(b.rootfs().join("bin/echo")).unwrap();
        b.spec["process"]["env"] = json!(["PATH=/nowhere:/other"]);
        b.spec["process"]["args"] = json!(["echo", "found"]);
        assert_eq!(b.output(), "found\n");
    }

    /// A resource limit that can't be mapped to one of the kernel must be an error.
    unknown_rlimit_must_be_an_error(r) {
        refuses(r, "rlimits", json!([{ "type": "RLIMIT_NO_SUCH", "soft": 1, "hard": 1 }]));
    }

    /// `getrlimit` must succeed for each of `rlimits`, and give the soft limit.
    rlimit_soft_must_match(r) {
        let mut b = Bundle::new(r, "ulimit -S -n; ulimit -S -s");
        b.spec["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 345, "hard": 456 },
            { "type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152 },
        ]);
        assert_eq!(b.output(), "345\n1024\n");
    }

    /// `getrlimit` must give the hard limit.
    rlimit_hard_must_match(r) {
        let mut b = Bundle::new(r, "ulimit -H -n");
        b.spec["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 345, "hard": 456 }]);
        assert_eq!(b.output(), "456\n");
    }

    /// Each resource limit of getrlimit(2) can be set.
    every_rlimit_must_be_known(r) {
        let names = [
            "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS",
            "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
        ];
        // what this process may have itself is no privilege
        let own = |name: &str| {
            let said = std::process::Command::new("prlimit")
                .args([&format!("--{}", name.to_lowercase()), "--noheadings", "--raw", "--output", "SOFT"])
                .output().unwrap();
            String::from_utf8(said.stdout).unwrap().trim().parse().unwrap_or(987_654_321_u64)
        };
        let limit = |name: &&str| json!({ "type": format!("RLIMIT_{name}"), "soft": own(name), "hard": own(name) });
        let mut b = Bundle::new(r, "cat /proc/self/limits");
        b.spec["process"]["rlimits"] = names.iter().map(limit).collect::<Vec<_>>().into();
        let out = b.output();
        let line = |word: &str| out.lines().find(|l| l.starts_with(word)).unwrap().to_owned();
        for (word, name) in [("Max open files", "NOFILE"), ("Max cpu time", "CPU"), ("Max processes", "NPROC")] {
            let wanted = format!(" {} ", own(name));
            assert_eq!(line(word).matches(&wanted).count(), 2, "{wanted}: {out}");
        }
    }

    /// A limit that is listed twice must be an error.
    [departs runc: "takes the last", crun: "takes the last"]
    duplicate_rlimit_must_be_an_error(r) {
        let limit = json!({ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 100 });
        refuses(r, "rlimits", json!([limit, limit]));
    }

    /// A capability that can't be mapped to one of the kernel must be logged as a warning, and should be no error.
    [departs crun: "is an error, as the specification had it before 1.1"]
    unknown_capability_must_be_a_warning(r) {
        let mut b = Bundle::new(r, "echo ran");
        let caps = json!(["CAP_CHOWN", "CAP_NO_SUCH"]);
        b.spec["process"]["capabilities"] = json!({ "bounding": caps, "permitted": caps, "effective": caps });
        let ran = b.run();
        assert_eq!((ran.code, ran.out.as_str()), (0, "ran\n"), "{ran:?}");
        assert!(ran.err.contains("CAP_NO_SUCH"), "{ran:?}");
    }

    /// The five sets of capabilities are what the program has.
    capabilities_must_be_the_given_ones(r) {
        let mut b = Bundle::new(r, "grep ^Cap /proc/self/status");
        b.spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        b.spec["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_KILL", "CAP_NET_RAW"], "inheritable": ["CAP_NET_RAW"], "ambient": ["CAP_NET_RAW"],
        });
        let out = b.output();
        for (name, bits) in [("Inh", "2000"), ("Bnd", "2021"), ("Amb", "2000"), ("Prm", "2000"), ("Eff", "2000")] {
            assert!(out.contains(&format!("Cap{name}:\t{bits:0>16}")), "{name}: {out}");
        }
    }

    /// `noNewPrivileges` is set for the program.
    no_new_privileges_must_be_set(r) {
        for (wanted, line) in [(true, "NoNewPrivs:\t1\n"), (false, "NoNewPrivs:\t0\n")] {
            let mut b = Bundle::new(r, "grep NoNewPrivs /proc/self/status");
            b.spec["process"]["noNewPrivileges"] = wanted.into();
            assert_eq!(b.output(), line);
        }
    }

    /// `oomScoreAdj` must be set to the given value.
    oom_score_adj_must_be_set(r) {
        for score in [321, 1000] {
            let mut b = Bundle::new(r, "cat /proc/self/oom_score_adj");
            b.spec["process"]["oomScoreAdj"] = score.into();
            assert_eq!(b.output(), format!("{score}\n"));
        }
    }

    /// Without `oomScoreAdj` it must not be changed.
    oom_score_adj_must_not_be_changed_when_not_set(r) {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        assert_eq!(Bundle::new(r, "cat /proc/self/oom_score_adj").output(), own);
    }

    /// `user` is who the program runs as, with these groups.
    user_must_be_the_given_one(r) {
        let mut b = Bundle::new(r, "id -u; id -g; grep ^Groups /proc/self/status");
        b.spec["process"]["user"] = json!({ "uid": 1001, "gid": 1002, "additionalGids": [5, 6] });
        let out = b.output();
        assert!(out.starts_with("1001\n1002\n") && out.contains("5 6"), "{out}");
    }

    /// `user.umask` is the program's.
    umask_must_be_the_given_one(r) {
        let mut b = Bundle::new(r, "umask");
        b.spec["process"]["user"]["umask"] = 0o27.into();
        assert_eq!(b.output(), "0027\n");
    }

    /// `scheduler` is the program's; what is not given must be 0.
    [departs runc: "1.1 does not know it", crun: "1.8 does not know it"]
    scheduler_must_be_set(r) {
        let mut b = Bundle::new(r, "cat /proc/self/sched");
        b.spec["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH" });
        b.spec["process"]["args"] = json!(["sleep", "1000"]);
        b.create_and_start();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", b.pid())).unwrap();
        eventually("the program", || stat().contains("(sleep)"));
        // proc_pid_stat(5): nice is field 19, policy field 41, counted from 1
        let text = stat();
        let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!((fields[16], fields[38]), ("0", "3"), "{text}");
    }

    /// `ioPriority` is the program's.
    [departs runc: "1.1 does not know it", crun: "1.8 does not know it"]
    io_priority_must_be_set(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 4 });
        b.create_and_start();
        let said = std::process::Command::new("ionice").args(["-p", &b.pid().to_string()]).output().unwrap();
        assert!(String::from_utf8_lossy(&said.stdout).starts_with("idle"), "{said:?}");
    }

    /// An AppArmor profile that can't be applied must be an error.
    apparmor_profile_that_cannot_be_applied_must_be_an_error(r) {
        refuses(r, "apparmorProfile", "no-such-profile".into());
    }
}

/// Creates it with a socket for the terminal; what has come there.
pub(crate) fn with_console(b: &Bundle<'_>) -> (std::os::unix::net::UnixListener, std::os::fd::OwnedFd) {
    let path = b.path().join("console");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    b.write();
    b.call(&["create", "--console-socket", path.to_str().unwrap(), &b.id]).ok();
    let (stream, _) = listener.accept().unwrap();
    let (_, mut fds) = sys::fd::recv(&stream, &mut [0; 4096]).unwrap();
    (listener, fds.pop().unwrap())
}
