//! config.md, "POSIX-platform Hooks".

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, FOREVER, eventually, program};
use crate::subject::Subject;

const OF_THE_RUNTIME: [&str; 4] = ["prestart", "createRuntime", "poststart", "poststop"];

/// Creates, starts and ends it.
fn whole_life(b: &Bundle<'_>) {
    b.create_and_start();
    b.kill("KILL");
    b.until_stopped();
    b.call(&["delete", &b.id]).ok();
}

/// The lines of a file of the bundle.
fn lines(b: &Bundle<'_>, name: &str) -> Vec<String> {
    fs::read_to_string(b.path().join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A hook of `place` writes the links of its namespaces.
fn namespaces_of<'a>(r: &'a Subject, place: &str) -> (Vec<String>, Bundle<'a>) {
    let mut b = Bundle::new(r, FOREVER);
    let note = format!(
        "for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done >> {}/note",
        b.path().display()
    );
    b.hook(place, &note);
    b.create_and_start();
    (lines(&b, "note"), b)
}

fn own(pid: &str) -> Vec<String> {
    let link = |n: &str| fs::read_link(format!("/proc/{pid}/ns/{n}")).unwrap().display().to_string();
    ["mnt", "pid", "net", "uts", "ipc"].map(link).to_vec()
}

/// Hooks of the runtime's namespaces: in the mount namespace of this thread, which starts the runtime.
fn is_in_the_runtime_s(r: &Subject, place: &str) {
    if place == "poststop" {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("readlink /proc/self/ns/mnt >> {}/note", b.path().display());
        b.hook(place, &note);
        whole_life(&b);
        assert_eq!(lines(&b, "note"), [own("thread-self")[0].clone()]);
        return;
    }
    let (found, _b) = namespaces_of(r, place);
    assert_eq!(found, own("thread-self"));
}

fn note_of(b: &mut Bundle<'_>, place: &str, word: &str) {
    let note = format!("echo {word} >> {}/note", b.path().display());
    b.hook(place, &note);
}

fn is_refused(r: &Subject, place: &str, hook: Value) {
    let mut b = Bundle::new(r, FOREVER);
    b.spec["hooks"][place] = json!([hook]);
    let created = b.create();
    if created.code == 0 {
        b.start().refused();
    }
}

requirements! {
    /// A hook's `path` must be absolute.
    [departs runc: "takes it as it is, from where it stands", crun: "takes it as it is, from where it stands"]
    hook_path_must_be_absolute(r) {
        let b = Bundle::new(r, FOREVER);
        drop(b);
        for place in ["prestart", "createRuntime", "createContainer", "poststart"] {
            let mut b = Bundle::new(r, FOREVER);
            program("/bin/true", &b.path().join("hook"));
            b.spec["hooks"][place] = json!([{ "path": "hook", "args": ["hook"] }]);
            let created = b.create();
            if created.code == 0 {
                b.start().refused();
            }
        }
    }

    /// A hook's `timeout` must be greater than zero.
    [departs crun: "takes zero and less for none"]
    hook_timeout_must_be_greater_than_zero(r) {
        for timeout in [0, -1] {
            is_refused(r, "createRuntime", json!({ "path": "/bin/true", "timeout": timeout }));
        }
    }

    /// A hook that takes longer than its `timeout` is aborted, which is a failure.
    hook_must_be_aborted_after_its_timeout(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["hooks"]["createRuntime"] = json!([{ "path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1 }]);
        b.is_refused();
    }

    /// `args` of a hook are its argument vector.
    hook_must_get_its_args(r) {
        let mut b = Bundle::new(r, FOREVER);
        let script = format!("cat > /dev/null; echo $0 $1 > {}/note", b.path().display());
        b.spec["hooks"]["createRuntime"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script, "zero", "one"] }]);
        b.create().ok();
        assert_eq!(lines(&b, "note"), ["zero one"]);
    }

    /// `env` of a hook is its environment.
    hook_must_get_its_env(r) {
        let mut b = Bundle::new(r, FOREVER);
        let script = format!("cat > /dev/null; echo $WORD > {}/note", b.path().display());
        b.spec["hooks"]["createRuntime"] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["WORD=word"] }]);
        b.create().ok();
        assert_eq!(lines(&b, "note"), ["word"]);
    }

    /// `path` of a `prestart` hook must resolve in the runtime's namespace, and the hook be executed there.
    prestart_hooks_must_be_in_the_runtime_namespace(r) {
        is_in_the_runtime_s(r, "prestart");
    }

    /// `path` of a `createRuntime` hook must resolve in the runtime's namespace, and the hook be executed there.
    create_runtime_hooks_must_be_in_the_runtime_namespace(r) {
        is_in_the_runtime_s(r, "createRuntime");
    }

    /// `path` of a `createContainer` hook must resolve in the runtime's namespace.
    create_container_hook_path_must_resolve_in_the_runtime_namespace(r) {
        let mut b = Bundle::new(r, FOREVER);
        let program = b.path().join("only-outside");
        let script = format!("#!/bin/sh\ncat > /dev/null\necho ran > {}/note\n", b.path().display());
        fs::write(&program, script).unwrap();
        std::os::unix::fs::chown(&program, Some(0), Some(0)).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        b.spec["hooks"]["createContainer"] = json!([{ "path": program, "env": ["PATH=/bin:/usr/bin"] }]);
        b.create().ok();
        assert_eq!(lines(&b, "note"), ["ran"]);
    }

    /// `createContainer` hooks must be executed in the container's namespace.
    create_container_hooks_must_be_in_the_container_namespace(r) {
        let (found, b) = namespaces_of(r, "createContainer");
        assert_eq!(found, own(&b.pid().to_string()));
    }

    /// `path` of a `startContainer` hook must resolve in the container's namespace.
    start_container_hook_path_must_resolve_in_the_container_namespace(r) {
        let mut b = Bundle::new(r, FOREVER);
        program("/bin/busybox", &b.rootfs().join("bin/only-inside"));
        b.spec["hooks"]["startContainer"] =
            json!([{ "path": "/bin/only-inside", "args": ["sh", "-c", "echo > /hook"], "env": ["PATH=/bin"] }]);
        b.create_and_start();
        eventually("the hook", || b.rootfs().join("hook").exists());
    }

    /// `startContainer` hooks must be executed in the container's namespace.
    start_container_hooks_must_be_in_the_container_namespace(r) {
        let mut b = Bundle::new(r, FOREVER);
        let script = "for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done > /part; mv /part /note";
        std::os::unix::fs::symlink("busybox", b.rootfs().join("bin/mv")).unwrap();
        b.spec["hooks"]["startContainer"] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"] }]);
        b.create_and_start();
        eventually("the hook", || b.rootfs().join("note").exists());
        assert_eq!(lines(&b, "rootfs/note"), own(&b.pid().to_string()));
    }

    /// `path` of a `poststart` hook must resolve in the runtime's namespace, and the hook be executed there.
    poststart_hooks_must_be_in_the_runtime_namespace(r) {
        is_in_the_runtime_s(r, "poststart");
    }

    /// `path` of a `poststop` hook must resolve in the runtime's namespace, and the hook be executed there.
    poststop_hooks_must_be_in_the_runtime_namespace(r) {
        is_in_the_runtime_s(r, "poststop");
    }

    /// Hooks must be called in the listed order.
    hooks_must_be_called_in_order(r) {
        for place in OF_THE_RUNTIME.into_iter().chain(["createContainer"]) {
            let mut b = Bundle::new(r, FOREVER);
            for word in ["one", "two", "three"] {
                note_of(&mut b, place, word);
            }
            whole_life(&b);
            assert_eq!(lines(&b, "note"), ["one", "two", "three"], "{place}");
        }
    }

    /// The state must be passed to hooks over stdin.
    state_must_be_passed_to_hooks_over_stdin(r) {
        for place in OF_THE_RUNTIME.into_iter().chain(["createContainer"]) {
            let mut b = Bundle::new(r, FOREVER);
            b.spec["annotations"] = json!({ "a.key": "a value" });
            let script = format!("cat > {}/note", b.path().display());
            b.spec["hooks"][place] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
            whole_life(&b);
            let text = fs::read_to_string(b.path().join("note")).unwrap();
            let state: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{place}: {e}: {text}"));
            assert_eq!((&state["id"], state["bundle"].as_str()), (&json!(b.id), b.path().to_str()), "{place}: {text}");
            assert_eq!(state["annotations"]["a.key"], "a value", "{place}: {text}");
        }
    }

    /// The state that hooks get must be appropriate: `creating` or `created` before the start, `stopped` at the end.
    [departs crun: "createRuntime hooks are told `created`, poststop hooks too"]
    state_of_hooks_must_be_the_current_one(r) {
        let wanted = [
            ("createRuntime", &["creating"][..]), ("createContainer", &["creating"]), ("poststop", &["stopped"]),
        ];
        for (place, states) in wanted {
            let mut b = Bundle::new(r, FOREVER);
            let script = format!("cat > {}/note", b.path().display());
            b.spec["hooks"][place] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
            whole_life(&b);
            let state: Value = serde_json::from_slice(&fs::read(b.path().join("note")).unwrap()).unwrap();
            assert!(states.contains(&state["status"].as_str().unwrap()), "{place}: {state}");
        }
    }

    /// `prestart` hooks must be called by `create`, when the namespaces are there and before the root changes.
    prestart_hooks_must_be_called_before_pivot_root(r) {
        is_before_the_root_changes(r, "prestart");
    }

    /// `prestart` hooks must be called before the `createRuntime` hooks.
    prestart_hooks_must_be_called_before_create_runtime(r) {
        let mut b = Bundle::new(r, FOREVER);
        note_of(&mut b, "createRuntime", "second");
        note_of(&mut b, "prestart", "first");
        b.create().ok();
        assert_eq!(lines(&b, "note"), ["first", "second"]);
    }

    /// `createRuntime` hooks must be called by `create`, when the namespaces are there and before the root changes.
    create_runtime_hooks_must_be_called_before_pivot_root(r) {
        is_before_the_root_changes(r, "createRuntime");
    }

    /// `createContainer` hooks must be called by `create`, when the namespaces are there and before the root changes.
    create_container_hooks_must_be_called_before_pivot_root(r) {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("test -d {0} && readlink /proc/self/ns/mnt > {0}/note", b.path().display());
        b.hook("createContainer", &note);
        b.create().ok();
        assert_ne!(lines(&b, "note"), [own("thread-self")[0].clone()]);
    }

    /// `createContainer` hooks must be called after the `createRuntime` hooks.
    create_container_hooks_must_be_called_after_create_runtime(r) {
        let mut b = Bundle::new(r, FOREVER);
        note_of(&mut b, "createContainer", "second");
        note_of(&mut b, "createRuntime", "first");
        b.create().ok();
        assert_eq!(lines(&b, "note"), ["first", "second"]);
    }

    /// `startContainer` hooks must be called by `start`, before the program.
    start_container_hooks_must_be_called_before_the_program(r) {
        let mut b = Bundle::new(r, "echo program >> /log; exec sleep 1000");
        b.spec["hooks"]["startContainer"] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo hook >> /log"], "env": ["PATH=/bin"] }]);
        b.create().ok();
        assert!(!b.rootfs().join("log").exists());
        b.start().ok();
        eventually("the program", || lines(&b, "rootfs/log").len() == 2);
        assert_eq!(lines(&b, "rootfs/log"), ["hook", "program"]);
    }

    /// `poststart` hooks must be called after the program has been executed.
    [departs runc: "calls them in create, before the start (mended in 1.5)"]
    poststart_hooks_must_be_called_after_the_program(r) {
        let mut b = Bundle::new(r, FOREVER);
        note_of(&mut b, "poststart", "called");
        b.create().ok();
        assert_eq!(lines(&b, "note").len(), 0);
        b.start().ok();
        assert_eq!(lines(&b, "note"), ["called"]);
    }

    /// `poststart` hooks must be called before `start` returns.
    poststart_hooks_must_be_called_before_start_returns(r) {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("sleep 0.3; echo called >> {}/note", b.path().display());
        b.hook("poststart", &note);
        b.create_and_start();
        assert_eq!(lines(&b, "note"), ["called"]);
    }

    /// `poststop` hooks must be called after the container is deleted.
    [departs crun: "calls them while the state is still there"]
    poststop_hooks_must_be_called_after_deletion(r) {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("ls {0}/state > {0}/note; echo end >> {0}/note", b.path().display());
        b.hook("poststop", &note);
        whole_life(&b);
        assert_eq!(lines(&b, "note"), ["end"]);
    }

    /// `poststop` hooks must be called before `delete` returns.
    poststop_hooks_must_be_called_before_delete_returns(r) {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("sleep 0.3; echo called >> {}/note", b.path().display());
        b.hook("poststop", &note);
        whole_life(&b);
        assert_eq!(lines(&b, "note"), ["called"]);
    }
}

/// The first process still has the host's root when the hook is called, and its namespaces are there.
fn is_before_the_root_changes(r: &Subject, place: &str) {
    let mut b = Bundle::new(r, FOREVER);
    let path = b.path().display().to_string();
    let script = format!(
        "pid=$(grep -o '\"pid\": *[0-9]*' | grep -o '[0-9]*'); readlink /proc/$pid/ns/net > {path}/note; \
         test -d /proc/$pid/root{path}/rootfs && echo outside >> {path}/note"
    );
    b.spec["hooks"][place] =
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }]);
    b.create().ok();
    let found = lines(&b, "note");
    assert_ne!(found[0], own("thread-self")[2], "no network namespace yet");
    assert_eq!(found.get(1).map(String::as_str), Some("outside"), "{found:?}");
}
