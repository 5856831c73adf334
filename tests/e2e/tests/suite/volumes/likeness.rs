//! The same steps on Debian's Docker and on Berth, by the same client: the same words, the same JSON.

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::programs::{self, Ran};
use serde_json::Value;

use super::IMAGE;

/// Both, with the same image.
struct Pair {
    berth: Berth,
    docker: Docker,
}

impl Pair {
    fn start() -> Result<Self> {
        let (berth, docker) = (Berth::bare(&[])?, Docker::start(Docker::NO_NETWORK)?);
        let image = Image::busybox()?;
        berth.load(&image, IMAGE)?;
        let archive = tempfile::NamedTempFile::new()?;
        image.save(archive.path(), IMAGE)?;
        docker.run(&["load", "-i", &archive.path().to_string_lossy()])?.ok()?;
        Ok(Self { berth, docker })
    }

    /// Debian's client on ours, and on its own.
    fn run(&self, words: &[&str]) -> Result<(Ran, Ran)> {
        let mut command = programs::command(std::path::Path::new("/usr/bin/docker"), words);
        command.env("DOCKER_HOST", self.berth.host());
        Ok((programs::run(&mut command)?, self.docker.run(words)?))
    }

    fn end(self) -> Result<()> {
        self.docker.run(&["system", "prune", "-af", "--volumes"])?.ok()?;
        self.docker.stop()?;
        self.berth.finish()
    }
}

#[test]
fn refusals() -> Result<()> {
    let pair = Pair::start()?;
    pair.run(&["create", "--name", "donor", "-v", "used:/x", IMAGE])?;
    for words in [
        &["-v", "/a:/b:ro,ro"][..],
        &["-v", "/a:/b:z,Z"],
        &["-v", "/a:/b:foo"],
        &["-v", "/a:/b:nocopy"],
        &["-v", "nm:/b:rslave"],
        &["-v", "/a:/"],
        &["-v", "/a:/b/.."],
        &["-v", "/a:b"],
        &["-v", "@x:/b"],
        &["-v", "a/b:/x"],
        &["-v", "/a:/x", "-v", "/b:/x"],
        &["-v", "/a:/x", "--tmpfs", "/x"],
        &["--mount", "type=bind,src=/nonexistent,dst=/x"],
        &["--mount", "type=bind,src=rel,dst=/x"],
        &["--mount", "type=bind,dst=/x"],
        &["--mount", "type=volume,dst=/"],
        &["--mount", "type=volume,dst=rel"],
        &["--mount", "type=volume,dst=/x,readonly"],
        &["--mount", "type=foo,dst=/x"],
        &["--mount", "type=bind,src=/tmp,dst=/x,bind-propagation=foo"],
        &["--mount", "type=bind,src=/tmp,dst=/x", "--mount", "type=volume,dst=/x"],
        &["--mount", "type=bind,src=/tmp,dst=/x", "-v", "v3:/x"],
        &["--mount", "type=volume,src=odd,dst=/x,volume-opt=type=tmpfs"],
        &["--tmpfs", "rel"],
        &["--tmpfs", "/"],
        &["--volumes-from", "donor:foo"],
        &["--volumes-from", "donor:ro:x"],
        &["--volumes-from", "donor:nocopy"],
    ] {
        let words: Vec<&str> = ["create"].into_iter().chain(words.iter().copied()).chain([IMAGE]).collect();
        same(pair.run(&words)?)?;
    }
    // a creation that fails leaves volumes behind there
    pair.docker.run(&["volume", "rm", "-f", "v3"])?.ok()?;
    for words in [
        &["create", "x"][..],
        &["create", "ab/c"],
        &["create", "--driver", "foo", "dd"],
        &["create", "--opt", "type=tmpfs", "o1"],
        &["create", "--opt", "bad=1", "o1"],
        &["create", "--opt", "o=bind", "o1"],
        &["rm", "nope"],
        &["rm", "-f", "nope"],
        &["inspect", "nope"],
        &["ls", "-q"],
        &["ls", "-q", "-f", "name=^us"],
        &["ls", "-q", "-f", "name=se"],
        &["ls", "-q", "-f", "dangling=true"],
        &["ls", "-q", "-f", "dangling=false"],
        &["ls", "-q", "-f", "driver=local"],
        &["ls", "-q", "-f", "driver=foo"],
        &["ls", "-f", "dangling=false", "--format", "{{.Driver}} {{.Name}} {{.Scope}} {{.Links}} {{.Size}}"],
    ] {
        let words: Vec<&str> = ["volume"].into_iter().chain(words.iter().copied()).collect();
        same(pair.run(&words)?)?;
    }
    pair.run(&["rm", "-v", "donor"])?;
    pair.end()
}

fn same((ours, theirs): (Ran, Ran)) -> Result<()> {
    let said = |ran: &Ran| (ran.code, ran.stdout.clone(), ran.stderr.clone());
    ensure!(said(&ours) == said(&theirs), "{}\nours: {ours:?}\ntheirs: {theirs:?}", ours.command);
    Ok(())
}

#[test]
fn inspect_shows_the_same_mounts() -> Result<()> {
    let pair = Pair::start()?;
    let source = pair.berth.root().join("source");
    std::fs::create_dir(&source)?;
    let path = source.display().to_string();
    let at = |rest: &str| format!("{path}{rest}");
    let (ro, twice, bind) =
        (at(":/b:ro"), at("/:/b2/:z,cached"), format!("type=bind,src={path},dst=/bb,readonly"));
    let create = [
        "create",
        "--name",
        "one",
        "-v",
        "named:/n",
        "-v",
        "/anon",
        "-v",
        "named2:/n2:ro,nocopy",
        "-v",
        &ro,
        "-v",
        &twice,
        "-v",
        "/:/host",
        "--tmpfs",
        "/t",
        "--mount",
        "type=tmpfs,dst=/t2",
        "--mount",
        "type=volume,src=nv,dst=/nv",
        "--mount",
        "type=volume,dst=/av",
        "--mount",
        &bind,
        IMAGE,
    ];
    // without a tmpfs of its own: Debian's Docker then looks for a volume without a name
    let donor = [
        "create",
        "--name",
        "donor",
        "-v",
        "named:/n",
        "-v",
        "/anon",
        "-v",
        &ro,
        "-v",
        "named2:/n2:ro",
        IMAGE,
    ];
    let heir = ["create", "--name", "two", "--volumes-from", "donor:ro", "-v", "other:/n", IMAGE];
    for words in [&create[..], &donor[..], &heir[..]] {
        let (ours, theirs) = pair.run(words)?;
        ours.ok()?;
        theirs.ok()?;
    }
    for name in ["one", "two"] {
        let (ours, theirs) = pair.run(&["inspect", "-f", "{{json .Mounts}}", name])?;
        let (ours, theirs) = (mounts(&ours.ok()?)?, mounts(&theirs.ok()?)?);
        ensure!(ours == theirs, "{name}\nours: {ours:#?}\ntheirs: {theirs:#?}");
    }
    let format = "{{json .HostConfig.Mounts}} {{json .HostConfig.VolumesFrom}} {{json .Config.Volumes}} {{json .HostConfig.Tmpfs}}";
    same(pair.run(&["inspect", "-f", format, "one", "two"])?)?;
    pair.run(&["rm", "-v", "one", "two", "donor"])?;
    pair.end()
}

/// Mounts in the order of their places, without what is made up.
fn mounts(text: &str) -> Result<Vec<Value>> {
    let mut mounts: Vec<Value> = serde_json::from_str(text)?;
    for mount in &mut mounts {
        for field in ["Name", "Source"] {
            let Some(Value::String(value)) = mount.get_mut(field) else { continue };
            if let Some((_, rest)) = value.split_once("/volumes/") {
                *value = rest.to_owned();
            }
            let hex = value
                .split('/')
                .next()
                .is_some_and(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()));
            if hex {
                *value = "made up".to_owned();
            }
        }
    }
    mounts.sort_by_key(|mount| mount.get("Destination").map(Value::to_string));
    Ok(mounts)
}
