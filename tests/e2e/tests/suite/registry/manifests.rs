//! `manifest create annotate inspect push rm`: ours and Docker's say and push the same.

use anyhow::{Result, ensure};
use e2e::Ran;
use e2e::daemon::Berth;
use e2e::image::{ARCHITECTURE, Image};
use e2e::registry::{Access, Kind, PASSWORD, Packing, Picture, Registry, Style, USER, Wants};

/// All that one client says on the way of a list from its making to the registry and back.
fn way(registry: &Registry, run: &dyn Fn(&[&str]) -> Result<Ran>) -> Result<Vec<String>> {
    let name = |rest: &str| registry.site().name(rest);
    let (list, own, other) = (name("app:all"), name("app:one"), name("other/app:two"));
    let mut said = Vec::new();
    let mut ok = |args: &[&str]| -> Result<()> {
        let out = run(&[&["manifest"], args].concat())?.ok()?;
        said.push(format!("{args:?}: {out}"));
        Ok(())
    };
    ok(&["create", "--insecure", &list, &own])?;
    ok(&["create", "--insecure", "--amend", &list, &other])?;
    ok(&["inspect", &list])?;
    ok(&["inspect", &list, &own])?;
    ok(&["annotate", "--arch", "arm64", "--variant", "v8", "--os-features", "a,b", &list, &other])?;
    ok(&["annotate", "--os-version", "1.2", &list, &own])?;
    ok(&["inspect", &list])?;
    ok(&["inspect", "-v", &list])?;
    ok(&["inspect", "--insecure", "-v", &own])?;
    ok(&["push", "--insecure", "--purge", &list])?;
    ok(&["inspect", "--insecure", &list])?;
    for (args, words) in [
        (&["push", "--insecure", &list][..], "No such manifest"),
        (&["rm", &list], "No such manifest"),
        (&["inspect", "--insecure", &name("app:absent")], "no such manifest"),
        (&["annotate", &list, &own], "does not exist in"),
        (&["create", "--insecure", &name("app:again"), &list], "is a manifest list"),
    ] {
        run(&[&["manifest"], args].concat())?.fails(1, words)?;
    }
    // one that is there is not taken for a new one, and goes when it is told to
    run(&["manifest", "create", "--insecure", &list, &own])?.ok()?;
    run(&["manifest", "create", "--insecure", &list, &other])?.fails(1, "refusing to amend")?;
    run(&["manifest", "annotate", "--arch", "z80", &list, &own])?
        .fails(1, "unsupported os/arch combination")?;
    run(&["manifest", "rm", &list])?.ok()?;
    Ok(said)
}

fn compare(style: Style) -> Result<()> {
    let mut registry = Registry::with(Kind::Debian, Wants { access: Access::Password, ..Wants::default() })?;
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("file", 0o644, b"text"))?;
    let one = Picture::of(&image, style, &[Packing::Gzip])?;
    image.layer(|layer| layer.file("more", 0o644, b"more"))?;
    let two = Picture::made_for(&image, "arm64", style, &[Packing::Gzip])?;
    one.push(&registry.probe_of("app")?, "app", "one")?;
    two.push(&registry.probe_of("other/app")?, "other/app", "two")?;

    let berth = Berth::bare(&[])?;
    let client = berth.root().join("client");
    std::fs::create_dir_all(&client)?;
    let auths = serde_json::json!({"auths": {registry.site().address.as_str(): {"username": USER, "password": PASSWORD}}});
    std::fs::write(client.join("config.json"), auths.to_string())?;
    let theirs = way(&registry, &|args| berth.docker(args))?;
    let ours = way(&registry, &|args| berth.berth(args))?;
    for (theirs, ours) in theirs.iter().zip(&ours) {
        ensure!(theirs == ours, "docker:\n{theirs}\nberth:\n{ours}");
    }
    let listed = registry.probe_of("app")?.manifest("app", "all")?.json()?;
    ensure!(listed["manifests"][0]["platform"]["architecture"] == ARCHITECTURE, "{listed}");
    registry.terminate()?;
    berth.finish()
}

#[test]
fn lists_of_dockers_manifests() -> Result<()> {
    compare(Style::Docker)
}

#[test]
fn lists_of_ocis_manifests() -> Result<()> {
    compare(Style::Oci)
}
