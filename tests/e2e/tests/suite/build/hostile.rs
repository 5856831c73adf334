//! Dockerfiles and contexts that mean harm.

use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::{Context, found_below, no_places};

#[test]
fn copies_reach_nothing_outside() -> Result<()> {
    let berth = Berth::start()?;
    let secret = berth.root().join("secret");
    std::fs::write(&secret, "of the host")?;
    let above = "../".repeat(12) + secret.to_string_lossy().trim_start_matches('/');
    for (name, source) in
        [("absolute", "link"), ("above", "up"), ("through", "dir/secret"), ("dots", above.as_str())]
    {
        let dockerfile = format!("FROM {IMAGE}\nCOPY {source} /got\n");
        let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile)])?;
        symlink(&secret, context.path().join("link"))?;
        symlink(&above, context.path().join("up"))?;
        symlink(berth.root(), context.path().join("dir"))?;
        let ran = context.build(&[])?;
        ensure!(ran.code != 0, "{source} was copied: {}", ran.stdout);
    }
    // links in the image that lead out of it, for a target, a mount and a working directory
    let outside = berth.root().join("outside");
    std::fs::create_dir(&outside)?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN ln -s {0} /way && ln -s ../../../../../../..{0} /up\n\
         COPY Dockerfile /way/a\nCOPY Dockerfile /up/b\nWORKDIR /way/c\nRUN --mount=type=bind,target=/up/d true\n",
        outside.display()
    );
    let context = Context::new(&berth, "targets", &[("Dockerfile", &dockerfile)])?;
    context.build(&["-t", "targets"])?.ok()?;
    ensure!(std::fs::read_dir(&outside)?.next().is_none(), "something was made on the host");
    let there = format!("ls {0}/a {0}/b {0}/c", outside.display());
    berth.docker(["run", "--rm", "targets", "sh", "-c", &there])?.ok()?;
    berth.finish()
}

#[test]
fn places_of_mounts_do_not_stay() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN --mount=type=bind,target=/a/b/c --mount=type=tmpfs,target=/t test -e /a/b/c/Dockerfile && touch /t/x\n"
    );
    let context = Context::new(&berth, "stubs", &[("Dockerfile", &dockerfile)])?;
    context.build(&["-t", "stubs"])?.ok()?;
    berth.docker(["run", "--rm", "stubs", "sh", "-c", "! ls -d /a && ! ls -d /t"])?.ok()?;
    berth.finish()
}

/// Sources and targets of mounts that lead out by links and `..`, in the context, in another stage and in the root.
#[test]
fn mounts_reach_nothing_outside() -> Result<()> {
    let berth = Berth::start()?;
    let outside = berth.root().join("outside");
    std::fs::create_dir(&outside)?;
    std::fs::write(outside.join("secret"), "of the host")?;
    let out = outside.display();
    let above = format!("{}{}", "../".repeat(12), out.to_string().trim_start_matches('/'));
    let stage = format!("FROM {IMAGE} AS links\nRUN ln -s {out} /link && ln -s {above} /up\n");
    for source in ["link", "link/secret", "up", &above, "dir/../../up"] {
        for mount in [
            format!("type=bind,source={source},target=/m"),
            format!("type=bind,rw,source={source},target=/m"),
            format!("type=bind,from=links,source={source},target=/m"),
            format!("type=bind,rw,from=links,source={source},target=/m"),
            format!("type=cache,from=links,source={source},target=/m"),
        ] {
            let dockerfile = format!("{stage}FROM {IMAGE}\nRUN --mount={mount} cat /m/secret /m\n");
            let context = Context::new(&berth, "sources", &[("Dockerfile", &dockerfile), ("dir/x", "")])?;
            for (name, to) in [("link", out.to_string()), ("up", above.clone())] {
                let link = context.path().join(name);
                if !link.is_symlink() {
                    symlink(to, link)?;
                }
            }
            let ran = context.own(&["--progress", "plain"])?;
            ensure!(ran.code != 0 && !ran.stderr.contains("of the host"), "{mount}: {}", ran.stderr);
        }
    }
    // where there is nothing to be reached, a place is made, in the root, and goes again
    let targets = ["/link/a", "/up/b", "/../../../../c", "link/../d", &format!("{above}/e")];
    let mounts = |kind: &str| targets.map(|target| format!("--mount=type={kind},target={target}")).join(" ");
    let dockerfile = format!(
        "{stage}RUN {} echo > /up/b/x\nRUN {} echo > /link/a/x\nRUN {} true\n",
        mounts("cache"),
        mounts("bind,rw"),
        mounts("tmpfs")
    );
    let context = Context::new(&berth, "targets", &[("Dockerfile", &dockerfile)])?;
    for mut command in
        [context.own_command(&["-t", "targets"])?, context.buildkit_command(&["-t", "targets"])?]
    {
        programs::run(&mut command)?.ok()?;
        let left = format!("ls -d /c /d /link/a /up/b {out}; ls -A /tmp");
        let ran = berth.docker(["run", "--rm", "targets", "sh", "-c", &left])?;
        ensure!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
    let here: Vec<_> = std::fs::read_dir(&outside)?.collect::<Result<_, _>>()?;
    ensure!(here.len() == 1, "{here:?}");
    no_places(&berth)?;
    berth.finish()
}

/// A secret beside all that stays or travels: nothing of it is in layers, caches, the build cache, histories or logs.
#[test]
fn a_secret_is_found_nowhere() -> Result<()> {
    // not as one word here, or the test's own files would show it
    let secret = ["whatever", "stays", "secret"].join("-");
    let berth = Berth::start()?;
    let mounts = "--mount=type=secret,id=s,target=/deep/er/s --mount=type=secret,id=s,env=S \\\n\
                  --mount=type=cache,target=/cache --mount=type=bind,rw,target=/src --mount=type=tmpfs,target=/t";
    let dockerfile = |last: &str| {
        format!(
            "FROM {IMAGE}\nARG X\nRUN {mounts} \\\n cp /deep/er/s /t/s && test $(wc -c < /t/s) = ${{#S}} && date > /cache/date && date > /src/date && date > /date\n\
             RUN {mounts} \\\n cp /deep/er/s /src/s && cp /deep/er/s /lost && {last}\n"
        )
    };
    let file = berth.root().with_extension("secret");
    std::fs::write(&file, &secret)?;
    let flags = ["-t", "kept", "--secret", &format!("id=s,src={}", file.display())];
    let built = (|| {
        for (name, last, good) in [("kept", "rm /lost", true), ("failed", "false", false)] {
            let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile(last))])?;
            for mut command in [context.own_command(&flags)?, context.buildkit_command(&flags)?] {
                let ran = programs::run(&mut command)?;
                ensure!((ran.code == 0) == good, "{name}: {}", ran.stderr);
            }
        }
        Ok(())
    })();
    std::fs::remove_file(&file)?;
    built?;
    // a step's root is removed beside the next ones
    no_places(&berth)?;
    let trash = berth.data_root().join("store/trash");
    programs::eventually("what was removed is gone", || {
        Ok(std::fs::read_dir(&trash)?.next().is_none().then_some(()))
    })?;
    let saved = berth.root().join("saved");
    let saved_to = saved.to_string_lossy().into_owned();
    berth.docker(["save", "-o", &saved_to, "kept"])?.ok()?;
    let found = found_below(berth.root(), secret.as_bytes())?;
    ensure!(found.is_none(), "the secret is in {found:?}");
    let told = berth.docker(["history", "--no-trunc", "kept"])?.ok()? + &berth.log();
    ensure!(told.contains("/deep/er/s") && !told.contains(&secret), "{told}");
    berth.finish()
}

/// A step that forks for ever with a cache in its hands: when its client goes, its processes go, and whoever waits for
/// the cache gets it.
#[test]
fn what_a_fork_bomb_has_locked_is_free_when_its_client_goes() -> Result<()> {
    let berth = Berth::start()?;
    let locked = "--mount=type=cache,id=one,target=/c,sharing=locked";
    let bomb = format!(
        "FROM {IMAGE}\nRUN {locked} touch /c/begun; f() {{ (f & sleep 1000) & }}; f; f; sleep 1000\n"
    );
    let next = format!("FROM {IMAGE}\nRUN {locked} rm /c/begun\n");
    let caches = berth.data_root().join("store/cache-mounts");
    let begun = || {
        let caches = std::fs::read_dir(&caches).into_iter().flatten().flatten();
        Ok(caches.map(|cache| cache.path().join("files/begun")).find(|path| path.exists()))
    };
    let bomb = Context::new(&berth, "bomb", &[("Dockerfile", &bomb)])?;
    let next = Context::new(&berth, "next", &[("Dockerfile", &next)])?;
    for mut command in [bomb.own_command(&[])?, bomb.buildkit_command(&[])?] {
        let quiet = std::process::Stdio::null;
        let mut child = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn()?;
        programs::eventually("the step has the cache", begun)?;
        let mut waiter =
            next.own_command(&["--no-cache"])?.stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn()?;
        child.kill()?;
        child.wait()?;
        let done = programs::wait(&mut waiter, programs::PATIENCE)?;
        ensure!(done.is_some_and(|status| status.success()), "{done:?}");
    }
    ensure!(std::fs::read_dir(&caches)?.count() == 1);
    // the check at the end waits for processes, cgroups and mounts to go
    berth.finish()
}
