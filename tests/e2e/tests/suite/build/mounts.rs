//! `RUN --mount`: caches that stay, binds that are written to, memory; by the classic protocol and by BuildKit's.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::{Context, no_places};

/// The same build by our own client, by Docker's with BuildKit's protocol, and by the classic one.
fn all_ways(context: &Context<'_>, berth: &Berth, flags: &[&str]) -> Result<[Command; 3]> {
    let mut classic = berth.docker_command(["build"])?;
    classic.env("DOCKER_BUILDKIT", "0").args(flags).arg(context.path());
    Ok([context.own_command(flags)?, context.buildkit_command(flags)?, classic])
}

/// The caches that there are, and what lies in them, by name.
fn caches(berth: &Berth) -> Result<Vec<Vec<String>>> {
    let mut all = Vec::new();
    for cache in fs::read_dir(berth.data_root().join("store/cache-mounts"))? {
        let files = fs::read_dir(cache?.path().join("files"))?;
        let mut names: Vec<String> =
            files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
        names.sort();
        all.push(names);
    }
    all.sort();
    Ok(all)
}

#[test]
fn a_cache_stays_for_later_builds_and_daemons_and_is_no_part_of_the_image() -> Result<()> {
    let mut berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nARG RUN\nRUN --mount=type=cache,target=/var/kept echo $RUN >> /var/kept/runs; cat /var/kept/runs > /seen\n"
    );
    let mut expected = String::new();
    for run in ["1", "2", "3"] {
        let context = Context::new(&berth, "kept", &[("Dockerfile", &dockerfile)])?;
        let argument = format!("RUN={run}");
        let flags = ["-t", "kept", "--build-arg", &argument];
        for mut command in all_ways(&context, &berth, &flags)? {
            // the second and third way find the step in the cache: what the mount holds makes no other step
            programs::run(&mut command)?.ok()?;
        }
        expected += &format!("{run}\n");
        let seen = berth.docker(["run", "--rm", "kept", "sh", "-c", "cat /seen; ls -A /"])?.ok()?;
        ensure!(seen == expected.trim_end() || seen.starts_with(&expected), "{seen:?}");
        ensure!(!seen.contains("var"), "the place of the mount is in the image: {seen}");
        berth.kill()?;
        berth.spawn()?;
    }
    ensure!(caches(&berth)? == [["runs"]]);
    berth.finish()
}

#[test]
fn caches_differ_by_id_owner_and_beginning() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS first\nRUN mkdir -p /a/b/sub && chown 3:4 /a/b && chmod 711 /a/b && echo one > /a/b/one && ln -s /a/b /link\n\
         FROM {IMAGE}\nWORKDIR /w\n\
         RUN --mount=type=cache,id=x,target=c touch /w/c/x && [ $(stat -c %u-%g-%a /w/c) = 0-0-755 ]\n\
         RUN --mount=type=cache,id=x,target=/d,ro [ -e /d/x ] && ! touch /d/y\n\
         RUN --mount=type=cache,id=y,target=/c ! [ -e /c/x ]\n\
         RUN --mount=type=cache,id=x,target=/c,uid=7,gid=8,mode=1770 ! [ -e /c/x ] && [ $(stat -c %u-%g-%a /c) = 7-8-1770 ]\n\
         RUN --mount=type=cache,id=x,target=/c,from=first,source=/a/b [ $(cat /c/one) = one ] && [ $(stat -c %u-%g-%a /c) = 3-4-711 ] && echo two > /c/one\n\
         RUN --mount=type=cache,id=x,target=/c,from=first,source=/link/../../../../link [ $(cat /c/one) = two ]\n\
         RUN --mount=type=cache,id=x,target=/one --mount=type=cache,id=x,target=/two,sharing=locked touch /one/z && [ -e /two/z ]\n"
    );
    let context = Context::new(&berth, "differ", &[("Dockerfile", &dockerfile)])?;
    for mut command in all_ways(&context, &berth, &["--no-cache"])?.into_iter().take(1) {
        programs::run(&mut command)?.ok()?;
    }
    ensure!(caches(&berth)?.len() == 4, "{:?}", caches(&berth)?);
    for (mount, reason) in [
        ("type=cache,target=/c,from=first,source=/none", "none"),
        ("type=cache,target=/c,from=first,source=/a/b/one", "no directory"),
        ("type=cache,target=/c,source=/a", "/a"),
        ("type=cache,target=/", "invalid mount target"),
        ("type=bind,target=/w/..", "invalid mount target"),
    ] {
        let dockerfile = format!(
            "FROM {IMAGE} AS first\nRUN mkdir -p /a/b && touch /a/b/one\nFROM {IMAGE}\nRUN --mount={mount} true\n"
        );
        let context = Context::new(&berth, "wrong", &[("Dockerfile", &dockerfile)])?;
        let ran = context.own(&[])?;
        ensure!(ran.code != 0 && ran.stderr.contains(reason), "{mount}: {}", ran.stderr);
    }
    ensure!(caches(&berth)?.len() == 4, "one that could not be filled stays");
    no_places(&berth)?;
    berth.finish()
}

/// Stages side by side that want one cache: two meet in a shared one, a private one has its own, and locked ones come
/// one after the other.
#[test]
fn stages_side_by_side_share_or_wait() -> Result<()> {
    let berth = Berth::start()?;
    // each says that it is here and waits for the other
    let meet = |own: &str, other: &str| {
        format!(
            "touch /c/{own}; for i in $(seq 300); do [ -e /c/{other} ] && exit 0; sleep 0.1; done; exit 1"
        )
    };
    let alone = "[ ! -e /c/busy ] && touch /c/busy && sleep 0.5 && rm /c/busy && echo >> /c/turns";
    let stages = |sharing: &str, first: &str, second: &str| {
        format!(
            "FROM {IMAGE} AS one\nRUN --mount=type=cache,id={sharing},target=/c,sharing={sharing} {first}; touch /1\n\
             FROM {IMAGE} AS two\nRUN --mount=type=cache,id={sharing},target=/c,sharing={sharing} {second}; touch /2\n\
             FROM {IMAGE}\nCOPY --from=one /1 /\nCOPY --from=two /2 /\n"
        )
    };
    let both = |sharing: &str, first: &str, second: &str| -> Result<()> {
        let with_errors = |script: &str| format!("set -e; ({script})");
        let dockerfile = stages(sharing, &with_errors(first), &with_errors(second));
        let context = Context::new(&berth, sharing, &[("Dockerfile", &dockerfile)])?;
        context.own(&[])?.ok().map(drop)
    };
    both("shared", &meet("a", "b"), &meet("b", "a"))?;
    both("locked", alone, &format!("{alone}; [ -e /c/turns ]"))?;
    ensure!(caches(&berth)?.len() == 2, "{:?}", caches(&berth)?);
    // they meet by the shared cache, and each has a private one of its own
    let apart = |own: &str, other: &str| {
        let met =
            meet(own, other).replace("/c/", "/meet/").replace("exit 0", "break").replace("; exit 1", "");
        format!("touch /c/{own}; {met}; [ -e /meet/{other} ] && [ ! -e /c/{other} ]")
    };
    let mount =
        "--mount=type=cache,id=private,target=/c,sharing=private --mount=type=cache,id=meet,target=/meet";
    let stage = |name: &str, script: &str| {
        format!("FROM {IMAGE} AS {name}\nRUN {mount} ({script}) && touch /{name}\n")
    };
    let dockerfile = format!(
        "{}{}FROM {IMAGE}\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
        stage("one", &apart("one", "two")),
        stage("two", &apart("two", "one"))
    );
    let context = Context::new(&berth, "private", &[("Dockerfile", &dockerfile)])?;
    context.own(&[])?.ok()?;
    ensure!(caches(&berth)?.len() == 5, "{:?}", caches(&berth)?);
    berth.finish()
}

#[test]
fn binds_that_are_written_to_change_nothing() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS other\nRUN mkdir -p /d/e && echo layer > /d/e/f\n\
         FROM {IMAGE}\n\
         RUN --mount=type=bind,rw,target=/src [ $(cat /src/sub/file) = context ] && echo new > /src/sub/file && touch /src/more\n\
         RUN --mount=type=bind,target=/src [ $(cat /src/sub/file) = context ] && ! [ -e /src/more ] && ! touch /src/more\n\
         RUN --mount=type=bind,rw,target=/part,source=sub/../sub echo new > /part/file && [ $(ls /part) = file ]\n\
         RUN --mount=type=bind,rw,target=/one,source=sub/file echo new > /one && [ $(cat /one) = new ]\n\
         RUN --mount=type=bind,rw,from=other,source=/d,target=/o echo new > /o/e/f && mkdir /o/g && rm -r /o/e\n\
         RUN --mount=type=bind,from=other,source=/d,target=/o [ $(cat /o/e/f) = layer ] && ! [ -e /o/g ]\n\
         RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x && ! dd if=/dev/zero of=/t/y bs=1M count=2 2>&1\n"
    );
    let context = Context::new(&berth, "rw", &[("Dockerfile", &dockerfile), ("sub/file", "context")])?;
    for mut command in all_ways(&context, &berth, &["--no-cache", "-t", "rw"])? {
        programs::run(&mut command)?.ok()?;
        let left = "for p in /src /part /one /o /t; do ls -d $p && exit 1; done; true";
        berth.docker(["run", "--rm", "rw", "sh", "-c", left])?.ok()?;
    }
    ensure!(fs::read(context.path().join("sub/file"))? == b"context");
    no_places(&berth)?;
    berth.finish()
}
