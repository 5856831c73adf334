//! Directories of the client's that hold blobs: image layouts as named contexts, and caches.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::{Context, no_places};

const UUID: &str = "cat /proc/sys/kernel/random/uuid";

fn cached(said: &str) -> usize {
    said.lines().filter(|line| line.ends_with(" CACHED")).count()
}

fn build(context: &Context<'_>, more: &[&str]) -> Result<String> {
    let ran = context.own(&[&["--progress", "plain"], more].concat())?;
    let said = ran.stderr.clone();
    ran.ok()?;
    Ok(said)
}

/// The blobs of a directory, the largest first.
fn blobs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir.join("blobs/sha256"))? {
        let entry = entry?;
        all.push((entry.metadata()?.len(), entry.path()));
    }
    all.sort();
    Ok(all.into_iter().rev().map(|(_, path)| path).collect())
}

/// Nothing is here any more but the base image.
fn forget(berth: &Berth) -> Result<()> {
    berth.berth(["rmi", "-f", "built"])?.ok()?;
    berth.berth(["builder", "prune", "-af"])?.ok()?;
    Ok(())
}

#[test]
fn a_cache_in_a_directory_serves_another_daemon() -> Result<()> {
    let (first, second) = (Berth::start()?, Berth::start()?);
    let dockerfile = format!(
        "FROM {IMAGE} AS make\nRUN {UUID} > /one\nCOPY file /file\nRUN {UUID} > /two\n\
         FROM {IMAGE}\nCOPY --from=make /two /\nCMD [\"cat\", \"/two\"]\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("file", "words")];
    let (from, to) = (Context::new(&first, "one", &files)?, Context::new(&second, "other", &files)?);
    let says = |berth: &Berth| berth.berth(["run", "--rm", "built"])?.ok();
    let dir = first.root().join("cache");
    let place = dir.to_str().context("path")?;
    // the first build finds none, and says so
    let said = build(&to, &["--cache-from", &format!("type=local,src={place}")])?;
    ensure!(said.contains("not found") && cached(&said) == 0, "{said}");
    second.berth(["builder", "prune", "-af"])?.ok()?;
    for more in
        ["", ",compression=zstd,compression-level=3", ",image-manifest=false,compression=uncompressed"]
    {
        build(&from, &["-t", "built", "--cache-to", &format!("type=local,mode=max,dest={place}{more}")])?;
        let said = build(&to, &["-t", "built", "--cache-from", &format!("type=local,src={place}")])?;
        ensure!(cached(&said) == 4 && says(&first)? == says(&second)?, "{more}: {said}");
        forget(&second)?;
    }
    let index = fs::read_to_string(dir.join("index.json"))?;
    ensure!(index.matches("\"latest\"").count() == 1 && dir.join("oci-layout").exists(), "{index}");
    // only what is in the image goes along: of no use without what it was copied from
    let least = first.root().join("least");
    let least = least.to_str().context("path")?;
    build(&from, &["-t", "built", "--cache-to", &format!("type=local,dest={least},tag=t")])?;
    let said = build(&to, &["-t", "built", "--cache-from", &format!("type=local,src={least}")])?;
    ensure!(said.contains("nothing is called \"latest\""), "{said}");
    forget(&second)?;
    let said = build(&to, &["-t", "built", "--cache-from", &format!("type=local,src={least},tag=t")])?;
    ensure!(cached(&said) <= 1 && says(&first)? != says(&second)?, "{said}");
    from.own(&["--cache-to", &format!("type=local,dest={place},compression=estargz")])?
        .fails(1, "compression=estargz")?;
    from.own(&["--cache-to", "type=local"])?.fails(1, "requires dest")?;
    first.finish()?;
    second.finish()
}

#[test]
fn a_spoilt_cache_is_none() -> Result<()> {
    let (first, second) = (Berth::start()?, Berth::start()?);
    let dockerfile =
        format!("FROM {IMAGE}\nRUN {UUID} > /one; head -c 3000000 /dev/urandom > /much\nCMD cat /one\n");
    let files = [("Dockerfile", dockerfile.as_str())];
    let (from, to) = (Context::new(&first, "one", &files)?, Context::new(&second, "other", &files)?);
    let says = |berth: &Berth| berth.berth(["run", "--rm", "built"])?.ok();
    let dir = first.root().join("cache");
    let place = dir.to_str().context("path")?;
    build(&from, &["-t", "built", "--cache-to", &format!("type=local,mode=max,dest={place}")])?;
    let good = fs::read_to_string(dir.join("index.json"))?;
    let largest = blobs(&dir)?.into_iter().next().context("no blob")?;
    let layer = fs::read(&largest)?;
    let import = format!("type=local,src={place}");
    // one bit of a layer, half of it, none of it, more behind it
    let mut flipped = layer.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut longer = layer.clone();
    longer.extend_from_slice(b"more");
    for spoilt in [Some(flipped), Some(layer[..middle].to_vec()), None, Some(longer)] {
        match &spoilt {
            Some(bytes) => fs::write(&largest, bytes)?,
            None => fs::remove_file(&largest)?,
        }
        let said = build(&to, &["-t", "built", "--cache-from", &import])?;
        ensure!(cached(&said) == 0 && says(&first)? != says(&second)?, "{said}");
        forget(&second)?;
    }
    fs::write(&largest, &layer)?;
    // every other document, in turn
    for blob in blobs(&dir)?.into_iter().filter(|blob| *blob != largest) {
        let bytes = fs::read(&blob)?;
        if bytes.first() != Some(&b'{') {
            continue;
        }
        fs::write(&blob, [&bytes[..bytes.len() - 1], b" }"].concat())?;
        let said = build(&to, &["-t", "built", "--cache-from", &import])?;
        ensure!(cached(&said) == 0 && said.contains("has the digest"), "{}: {said}", blob.display());
        fs::write(&blob, bytes)?;
        forget(&second)?;
    }
    // a list that leads elsewhere, and none
    for index in [good.replace("sha256:", "sha256:0"), "[]".to_owned(), String::new()] {
        fs::write(dir.join("index.json"), index)?;
        to.own(&["--cache-from", &import])?.fails(1, "the index of")?;
    }
    fs::write(dir.join("index.json"), good)?;
    let said = build(&to, &["-t", "built", "--cache-from", &import])?;
    ensure!(cached(&said) == 1 && says(&first)? == says(&second)?, "{said}");
    no_places(&second)?;
    first.finish()?;
    second.finish()
}

#[test]
fn an_image_layout_is_a_context() -> Result<()> {
    let berth = Berth::start()?;
    let base = format!(
        "FROM {IMAGE}\nRUN echo words > /file; chmod 640 /file; chown 3:4 /file\nENV A=b\nWORKDIR /w\n"
    );
    let made = Context::new(&berth, "made", &[("Dockerfile", &base)])?;
    let dir = berth.root().join("layout");
    let place = dir.to_str().context("path")?;
    made.own(&["-t", "x/base:1", "-o", &format!("type=oci,tar=false,dest={place}")])?.ok()?;
    berth.berth(["builder", "prune", "-af"])?.ok()?;
    let text = "FROM base\nRUN test \"$A\" = b && test \"$(pwd)\" = /w && cp -a /file /copy\n\
        FROM base AS other\nCOPY --from=base /file /there\nRUN --mount=from=base,target=/b cat /b/file /there > /both\n\
        FROM scratch\nCOPY --from=0 /copy /\nCOPY --from=other /both /\n";
    let used = Context::new(&berth, "used", &[("Dockerfile", text)])?;
    let out = berth.root().join("out");
    let to = format!("type=local,dest={}", out.display());
    let index: serde_json::Value = serde_json::from_str(&fs::read_to_string(dir.join("index.json"))?)?;
    let digest =
        index.pointer("/manifests/0/digest").and_then(|digest| digest.as_str()).context("no digest")?;
    for named in [format!("{place}:1"), format!("{place}@{digest}"), format!("{place}:1@{digest}")] {
        used.own(&["--build-context", &format!("base=oci-layout://{named}"), "-o", &to])?.ok()?;
        let (copy, both) = (fs::read_to_string(out.join("copy"))?, fs::read_to_string(out.join("both"))?);
        ensure!(copy == "words\n" && both == "words\nwords\n", "{copy}{both}");
        fs::remove_dir_all(&out)?;
    }
    let named = |rest: &str| format!("base=oci-layout://{place}{rest}");
    used.own(&["--build-context", &named(":2")])?.fails(1, "no image is called \"2\"")?;
    used.own(&["--build-context", &named("@sha256:0")])?.fails(1, "invalid")?;
    let absent = format!("@sha256:{}", "0".repeat(64));
    used.own(&["--build-context", &named(&absent)])?.fails(1, "is not there")?;
    used.own(&["--build-context", "base=oci-layout:///nonexistent"])?.fails(1, "is no directory")?;
    used.own(&["--platform", "linux/s390x", "--build-context", &named(":1")])?;
    // other bytes than were promised
    berth.berth(["builder", "prune", "-af"])?.ok()?;
    for blob in blobs(&dir)? {
        let bytes = fs::read(&blob)?;
        let mut spoilt = bytes.clone();
        let middle = spoilt.len() / 2;
        spoilt[middle] ^= 1;
        fs::write(&blob, spoilt)?;
        let ran = used.own(&["--no-cache", "--build-context", &named(":1"), "-o", &to])?;
        // a layer that the daemon has is not asked for
        let is_layer = bytes.first() != Some(&b'{');
        ensure!(is_layer || ran.code != 0 && ran.stderr.contains("digest"), "{}", ran.stderr);
        fs::write(&blob, bytes)?;
    }
    programs::run(&mut used.own_command(&["--build-context", &named(":1")])?)?.ok()?;
    no_places(&berth)?;
    berth.finish()
}
