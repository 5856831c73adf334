//! What builds give out: image layouts that other programs read, the same digest twice, several platforms, and what is
//! said of an image.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use e2e::registry::copiers::Copier;
use e2e::registry::{Kind, Registry};
use serde_json::Value;

use super::{Context, no_places};

fn dockerfile() -> String {
    format!(
        "FROM {IMAGE} AS base\nRUN mkdir -p /made/deep && date > /made/deep/when && ln -s deep /made/link\n\
         COPY one /made/one\nENV A=b\nCMD [\"cat\", \"/made/one\"]\n"
    )
}

/// The program's own word for a manifest.
fn raw(skopeo: &Copier, name: &str) -> Result<Value> {
    let said = programs::run(skopeo.command().args(["inspect", "--raw", name]))?.ok()?;
    Ok(serde_json::from_str(&said)?)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn image_layouts_that_others_read() -> Result<()> {
    let berth = Berth::start()?;
    let context =
        Context::new(&berth, "layouts", &[("Dockerfile", &dockerfile()), ("one", "of the context")])?;
    let (skopeo, podman) = (Copier::skopeo()?, Copier::podman()?);
    let at = |name: &str| berth.root().join(name);
    let out = |kind: &str, name: &str, more: &str| format!("type={kind},dest={}{more}", at(name).display());
    let metadata = at("metadata").display().to_string();
    let annotated = [
        "-t",
        "out:1",
        "--annotation",
        "who=me",
        "--metadata-file",
        &metadata,
        "-o",
        &out("oci", "oci.tar", ""),
    ];
    context.own(&annotated)?.ok()?;
    // what is given out is not kept
    berth.docker(["image", "inspect", "out:1"])?.fails(1, "No such image")?;
    let manifest = raw(&skopeo, &format!("oci-archive:{}", at("oci.tar").display()))?;
    ensure!(text(&manifest, "/mediaType") == "application/vnd.oci.image.manifest.v1+json", "{manifest}");
    ensure!(text(&manifest, "/annotations/who") == "me", "{manifest}");
    let known: Value = serde_json::from_slice(&fs::read(&metadata)?)?;
    let digest = text(&known, "/containerimage.digest");
    ensure!(digest == text(&known, "/containerimage.descriptor/digest") && !digest.is_empty(), "{known}");
    ensure!(text(&known, "/containerimage.config.digest") == text(&manifest, "/config/digest"), "{known}");
    ensure!(text(&known, "/image.name") == "docker.io/library/out:1", "{known}");
    // every blob is what it is called, and every program runs it
    let copy = format!("dir:{}", at("copied").display());
    let from = format!("oci-archive:{}", at("oci.tar").display());
    programs::run(skopeo.command().args(["copy", "--preserve-digests", &from, &copy]))?.ok()?;
    let loaded = |archive: &str| podman.run(&["load", "-q", "-i", &at(archive).to_string_lossy()])?.ok();
    let said = loaded("oci.tar")?;
    ensure!(said.contains("docker.io/library/out:1"), "{said}");
    berth.docker(["load", "-q", "-i", &at("oci.tar").to_string_lossy()])?.ok()?;
    ensure!(berth.docker(["run", "--rm", "out:1"])?.ok()? == "of the context");
    // Docker's own layout, under two names
    context.own(&["-t", "d:1", "-t", "d:2", "-o", &out("docker", "docker.tar", "")])?.ok()?;
    let said = loaded("docker.tar")?;
    ensure!(said.contains("/d:1") && said.contains("/d:2"), "{said}");
    berth.docker(["load", "-q", "-i", &at("docker.tar").to_string_lossy()])?.ok()?;
    ensure!(berth.docker(["run", "--rm", "d:2"])?.ok()? == "of the context");
    // a directory, other compressions
    context
        .own(&["-t", "z:1", "-o", &out("oci", "zstd", ",tar=false,compression=zstd,compression-level=5")])?
        .ok()?;
    let manifest = raw(&skopeo, &format!("oci:{}", at("zstd").display()))?;
    ensure!(text(&manifest, "/layers/0/mediaType").ends_with("tar+zstd"), "{manifest}");
    ensure!(fs::read_to_string(at("zstd").join("oci-layout"))? == "{\"imageLayoutVersion\":\"1.0.0\"}");
    context.own(&["-t", "u:1", "-o", &out("oci", "plain.tar", ",compression=uncompressed")])?.ok()?;
    let manifest = raw(&skopeo, &format!("oci-archive:{}", at("plain.tar").display()))?;
    ensure!(text(&manifest, "/layers/1/mediaType").ends_with("layer.v1.tar"), "{manifest}");
    // the older client takes archives of files alone, and is told so
    let ran = programs::run(&mut context.buildkit_command(&["-o", "type=oci,name=old:1,dest=-"])?)?;
    ran.fails(1, "the client takes no result of this kind")?;
    context.own(&["-o", &out("oci", "no", ",compression=estargz")])?.fails(1, "compression=estargz")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn the_same_digest_twice() -> Result<()> {
    let (first, second) = (Berth::start()?, Berth::start()?);
    let built = |berth: &Berth, name: &str, more: &[&str]| -> Result<Value> {
        let context = Context::new(
            berth,
            name,
            &[("Dockerfile", &dockerfile().replace("date >", "echo >")), ("one", "1")],
        )?;
        let (archive, metadata) = (berth.root().join(name), berth.root().join(format!("{name}.json")));
        let out = format!("type=oci,rewrite-timestamp=true,dest={}", archive.display());
        let metadata = metadata.display().to_string();
        let mut command = context
            .own_command(&[&["-t", "same:1", "-o", &out, "--metadata-file", &metadata], more].concat())?;
        programs::run(command.env("SOURCE_DATE_EPOCH", "1700000000"))?.ok()?;
        Ok(serde_json::from_slice(&fs::read(metadata)?)?)
    };
    let one = built(&first, "one", &[])?;
    let again = built(&first, "again", &["--no-cache"])?;
    let other = built(&second, "other", &[])?;
    let digest = |known: &Value| text(known, "/containerimage.digest").to_owned();
    ensure!(!digest(&one).is_empty() && digest(&one) == digest(&again) && digest(&one) == digest(&other));
    ensure!(fs::read(first.root().join("one"))? == fs::read(second.root().join("other"))?);
    // the image says so itself, and so do its files
    let archive = first.root().join("one").display().to_string();
    first.docker(["load", "-q", "-i", &archive])?.ok()?;
    let created = first.docker(["image", "inspect", "-f", "{{.Created}}", "same:1"])?.ok()?;
    ensure!(created == "2023-11-14T22:13:20Z", "{created}");
    let newest = first
        .docker(["run", "--rm", "same:1", "stat", "-c", "%Y", "/made", "/made/one", "/made/deep/when"])?
        .ok()?;
    ensure!(newest.lines().all(|line| line == "1700000000"), "{newest}");
    let context = Context::new(&first, "when", &[("Dockerfile", "FROM scratch\n")])?;
    let out = format!("type=oci,rewrite-timestamp=true,dest={}", first.root().join("no").display());
    context.own(&["-o", &out])?.fails(1, "rewrite-timestamp needs SOURCE_DATE_EPOCH")?;
    let soon = ["--build-arg", "SOURCE_DATE_EPOCH=soon"];
    context.own(&soon)?.fails(1, "invalid SOURCE_DATE_EPOCH: soon")?;
    no_places(&first)?;
    first.finish()?;
    second.finish()
}

/// The statements of an image in a registry, by what they are.
fn statements(probe: &e2e::registry::Probe, repository: &str, index: &Value) -> Result<Vec<(String, Value)>> {
    let entries = index["manifests"].as_array().context("no index")?;
    let mut all = Vec::new();
    for entry in
        entries.iter().filter(|entry| !text(entry, "/annotations/vnd.docker.reference.type").is_empty())
    {
        let manifest = probe.manifest(repository, text(entry, "/digest"))?.json()?;
        for layer in manifest["layers"].as_array().context("no layers")? {
            let statement = probe.blob(repository, text(layer, "/digest"))?;
            let kind = text(layer, "/annotations/in-toto.io~1predicate-type").to_owned();
            all.push((kind, serde_json::from_slice(&statement)?));
        }
    }
    Ok(all)
}

#[test]
fn what_is_said_of_an_image_goes_with_it() -> Result<()> {
    let (berth, other) = (Berth::start()?, Berth::start()?);
    let registry = Registry::start(Kind::Debian)?;
    let name = registry.site().name("team/said:1");
    let context = Context::new(&berth, "said", &[("Dockerfile", &dockerfile()), ("one", "1")])?;
    let (metadata, id) = (berth.root().join("metadata"), berth.root().join("id"));
    let (metadata, id) = (metadata.display().to_string(), id.display().to_string());
    let flags = ["--push", "--provenance", "mode=max", "--build-arg", "TOLD=yes", "-t", &name];
    context.own(&[&flags[..], &["--metadata-file", &metadata, "--iidfile", &id]].concat())?.ok()?;
    let known: Value = serde_json::from_slice(&fs::read(&metadata)?)?;
    let digest = text(&known, "/containerimage.digest");
    let probe = registry.probe(&[])?;
    let index = probe.manifest("team/said", digest)?.json()?;
    ensure!(index == raw_at(&registry, "team/said:1")?, "{index}");
    ensure!(text(&index, "/mediaType") == "application/vnd.oci.image.index.v1+json", "{index}");
    let about = text(&index, "/manifests/1/annotations/vnd.docker.reference.digest");
    ensure!(about == text(&index, "/manifests/0/digest"), "{index}");
    ensure!(text(&index, "/manifests/1/platform/os") == "unknown", "{index}");
    let said = statements(&probe, "team/said", &index)?;
    ensure!(said.len() == 1 && said[0].0 == "https://slsa.dev/provenance/v0.2", "{said:?}");
    let statement = &said[0].1;
    ensure!(format!("sha256:{}", text(statement, "/subject/0/digest/sha256")) == about, "{statement}");
    ensure!(text(statement, "/predicate/invocation/parameters/args/build-arg:TOLD") == "yes", "{statement}");
    ensure!(text(statement, "/predicate/materials/0/uri").contains("busybox"), "{statement}");
    ensure!(statement.pointer("/predicate/buildConfig/llbDefinition/0").is_some(), "{statement}");
    // a pull brings it along, and a push to another place takes it there whole
    let moved = registry.site().name("other/place:2");
    other.docker(["pull", "-q", &name])?.ok()?;
    other.docker(["tag", &name, &moved])?.ok()?;
    other.docker(["push", "-q", &moved])?.ok()?;
    let there = probe.manifest("other/place", digest)?.json()?;
    ensure!(there == raw_at(&registry, "other/place:2")? && there == index, "{there}");
    ensure!(statements(&probe, "other/place", &there)? == said);
    // as little as may be, in SLSA's later form
    let later = registry.site().name("team/later:1");
    let flags = [
        "--push",
        "--attest",
        "type=provenance,mode=min,version=v1",
        "--build-arg",
        "TOLD=yes",
        "-t",
        &later,
    ];
    context.own(&flags)?.ok()?;
    let said = statements(&probe, "team/later", &raw_at(&registry, "team/later:1")?)?;
    ensure!(
        said[0].0 == "https://slsa.dev/provenance/v1" && !said[0].1.to_string().contains("TOLD"),
        "{said:?}"
    );
    // the daemon itself tells of it, too
    let told = |berth: &Berth, more: &str| {
        e2e::http::get(berth.root(), &format!("/v1.55/images/{name}/attestations{more}"))
    };
    let answer = told(&other, "?statement=true")?;
    ensure!(text(&answer, "/0/PredicateType") == "https://slsa.dev/provenance/v0.2", "{answer}");
    ensure!(answer.pointer("/0/Statement") == Some(statement), "{answer}");
    ensure!(told(&other, "?type=https://spdx.dev/Document")? == serde_json::json!([]));
    ensure!(told(&berth, "")?.pointer("/0/Statement").is_none());
    // by its digest alone
    let out = format!("type=image,name={},push=true,push-by-digest=true", registry.site().name("team/bare"));
    context.own(&["-o", &out, "--metadata-file", &metadata])?.ok()?;
    let known: Value = serde_json::from_slice(&fs::read(&metadata)?)?;
    probe.manifest("team/bare", text(&known, "/containerimage.digest"))?.json()?;
    ensure!(probe.get("/v2/team/bare/manifests/latest")?.status == 404);
    no_places(&berth)?;
    berth.finish()?;
    other.finish()
}

#[test]
fn what_packages_an_image_holds() -> Result<()> {
    let berth = Berth::start()?;
    let status = "Package: hello\nStatus: install ok installed\nVersion: 2.10-3\nArchitecture: amd64\n";
    let dockerfile = format!("FROM {IMAGE}\nCOPY status /var/lib/dpkg/status\nCOPY Cargo.lock /src/\n");
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("status", status),
        ("Cargo.lock", "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n"),
    ];
    let context = Context::new(&berth, "packages", &files)?;
    context.own(&["-t", "packages:1", "--sbom", "true"])?.ok()?;
    let target = "/v1.55/images/packages:1/attestations?statement=1&type=https://spdx.dev/Document";
    let answer = e2e::http::get(berth.root(), target)?;
    let document = answer.pointer("/0/Statement/predicate").context("no SBOM")?;
    ensure!(text(document, "/spdxVersion") == "SPDX-2.3", "{document}");
    let packages = document["packages"].as_array().context("no packages")?;
    let urls: Vec<&str> = packages.iter().map(|one| text(one, "/externalRefs/0/referenceLocator")).collect();
    ensure!(urls == ["", "pkg:deb/hello@2.10-3?arch=amd64", "pkg:cargo/serde@1.0.0"], "{urls:?}");
    // an image of which nothing was said is looked through when somebody asks
    context.own(&["-t", "silent:1"])?.ok()?;
    let list = berth.root().join("list.json");
    berth.berth(["image", "sbom", "--output", &list.to_string_lossy(), "silent:1"])?.ok()?;
    let own: Value = serde_json::from_slice(&fs::read(&list)?)?;
    ensure!(text(&own, "/spdxVersion") == "SPDX-2.3" && text(&own, "/name") == "silent:1", "{own}");
    let listed = |value: &Value| Some(value["packages"].as_array()?[1..].to_vec());
    ensure!(listed(&own).is_some_and(|all| all.len() == 2) && listed(&own) == listed(document), "{own}");
    let printed: Value = serde_json::from_str(
        &berth.berth(["image", "sbom", "--platform", "linux/amd64", "silent:1"])?.ok()?,
    )?;
    ensure!(listed(&printed) == listed(&own));
    berth.berth(["image", "sbom", "--platform", "linux/s390x", "silent:1"])?.fails(1, "linux/s390x")?;
    berth.berth(["image", "sbom", "nothing:1"])?.fails(1, "No such image: nothing:1")?;
    berth.berth(["image", "sbom", "-o", "/nowhere/x", "silent:1"])?.fails(1, "failed to write the list")?;
    // with the files alone it lies beside them
    let out = berth.root().join("out");
    context.own(&["--sbom", "true", "-o", &out.to_string_lossy()])?.ok()?;
    let said: Value = serde_json::from_slice(&fs::read(out.join("sbom.spdx.json"))?)?;
    ensure!(text(&said, "/predicateType") == "https://spdx.dev/Document", "{said}");
    ensure!(
        said["subject"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "src/Cargo.lock"))
    );
    context.own(&["--sbom", "generator=some/scanner"])?.fails(1, "SBOM generator (some/scanner)")?;
    no_places(&berth)?;
    berth.finish()
}

fn raw_at(registry: &Registry, rest: &str) -> Result<Value> {
    Ok(serde_json::from_str(&Copier::skopeo()?.raw(registry.site(), rest)?)?)
}

#[test]
fn several_platforms_at_once() -> Result<()> {
    let berth = Berth::start()?;
    let registry = Registry::start(Kind::Debian)?;
    let dockerfile = format!(
        "FROM --platform=$BUILDPLATFORM {IMAGE} AS make\nARG TARGETARCH BUILDPLATFORM\n\
         RUN echo $BUILDPLATFORM makes $TARGETARCH > /it\nFROM scratch\nCOPY --from=make /it /\n"
    );
    let context = Context::new(&berth, "several", &[("Dockerfile", &dockerfile)])?;
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let name = registry.site().name("team/both:1");
    context.own(&[&both[..], &["-t", &name, "--push"]].concat())?.ok()?;
    let index = raw_at(&registry, "team/both:1")?;
    let platforms = ["/manifests/0/platform/architecture", "/manifests/1/platform/architecture"];
    ensure!(platforms.map(|place| text(&index, place)) == ["amd64", "arm64"], "{index}");
    // each has what was made for it
    let skopeo = Copier::skopeo()?;
    let archive = berth.root().join("both.tar");
    context.own(&[&both[..], &["-o", &format!("type=oci,dest={}", archive.display())]].concat())?.ok()?;
    let inspected = raw(&skopeo, &format!("oci-archive:{}", archive.display()))?;
    ensure!(inspected["manifests"].as_array().is_some_and(|all| all.len() == 2), "{inspected}");
    let out = berth.root().join("files");
    context.own(&[&both[..], &["-o", &out.to_string_lossy()]].concat())?.ok()?;
    let made = |platform: &str| fs::read_to_string(out.join(platform).join("it"));
    ensure!(made("linux_arm64")? == "linux/amd64 makes arm64\n");
    ensure!(made("linux_amd64")? == "linux/amd64 makes amd64\n");
    let docker = format!("type=docker,dest={}", berth.root().join("no.tar").display());
    context
        .own(&[&both[..], &["-o", &docker]].concat())?
        .fails(1, "does not currently support exporting manifest lists")?;
    // a step for a processor that nobody emulates
    if !Path::new("/proc/sys/fs/binfmt_misc/qemu-s390x").exists() {
        let foreign = Context::new(
            &berth,
            "foreign",
            &[("Dockerfile", "FROM scratch\nCOPY a /\nRUN [\"/a\"]\n"), ("a", "")],
        )?;
        foreign
            .own(&["--platform", "linux/s390x"])?
            .fails(1, "a step for linux/s390x cannot run on linux/amd64")?;
    }
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn limits_of_steps() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN ulimit -n > /files; df -k /dev/shm | tail -1 > /shm; cat /proc/self/cgroup > /groups; grep host.of /etc/hosts > /hosts; \
         cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes > /memory 2>/dev/null; true\n"
    );
    let context = Context::new(&berth, "limits", &[("Dockerfile", &dockerfile)])?;
    let flags = [
        "--no-cache",
        "-t",
        "limits",
        "--ulimit",
        "nofile=345:678",
        "--shm-size",
        "3m",
        "--memory",
        "64m",
        "--add-host",
        "host.of:10.1.2.3",
    ];
    let check = || -> Result<()> {
        let said =
            berth.docker(["run", "--rm", "limits", "sh", "-c", "cat /files /shm /hosts /memory"])?.ok()?;
        ensure!(said.contains("345") && said.contains("3072") && said.contains("10.1.2.3"), "{said}");
        ensure!(said.contains("67108864"), "{said}");
        Ok(())
    };
    context.own(&flags)?.ok()?;
    check()?;
    programs::run(&mut context.buildkit_command(&flags)?)?.ok()?;
    check()?;
    context.build(&flags)?.ok()?;
    check()?;
    // wrong ones begin nothing, whoever asks
    for wrong in [
        &["--memory", "1m"][..],
        &["--cpu-period", "1"],
        &["--cpuset-cpus", "9999"],
        &["--ulimit", "nofile=2:1"],
    ] {
        let asked = [&["--no-cache", "-t", "never"], wrong].concat();
        for (how, ran) in [
            ("own", context.own(&asked)?),
            ("buildkit", programs::run(&mut context.buildkit_command(&asked)?)?),
            ("classic", context.build(&asked)?),
        ] {
            ensure!(ran.code != 0, "{how} {wrong:?} was accepted: {}", ran.stdout);
        }
    }
    berth.docker(["image", "inspect", "never"])?.fails(1, "No such image")?;
    no_places(&berth)?;
    berth.finish()
}
