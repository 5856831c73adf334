//! A cache of another registry, asked by engines.

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::registry::engines::{Ours, OursByDocker};
use e2e::registry::{Access, Engine, Faulty, Kind, PASSWORD, Registry, USER, Wants};

use super::picture;

fn cache(upstream: &str, more: &str) -> Result<Registry> {
    let more = format!("[upstream]\nregistry = \"{upstream}\"\n{more}");
    Registry::with(Kind::Ours, Wants { more, ..Wants::default() })
}

/// Fetched once for all engines, believed for a time, looked up again, and served though the other one is gone.
#[test]
fn an_image_is_fetched_once_and_outlives_its_origin() -> Result<()> {
    let (first, second) = (picture(11)?, picture(12)?);
    let origin = Faulty::start(&first)?;
    let mut patient = cache(&origin.site().address, "")?;
    let mut eager = cache(&origin.site().address, "revalidate = \"1s\"\n")?;
    let berth = Berth::bare(&[])?;
    let pulled = |engine: &dyn Engine, registry: &Registry| -> Result<String> {
        engine.pull(registry.site(), "some/image:1")?;
        let name = registry.site().name("some/image:1");
        let id = engine.id(&name)?;
        engine.remove(&name)?;
        Ok(id)
    };
    for engine in [&Ours(&berth) as &dyn Engine, &OursByDocker(&berth)] {
        ensure!(pulled(engine, &patient)? == first.id()?);
    }
    for (digest, size) in first.layers()? {
        ensure!(origin.fetched(&digest) == size, "{digest}: {} of {size}", origin.fetched(&digest));
    }
    ensure!(pulled(&Ours(&berth), &eager)? == first.id()?);
    // The tag moves: believed here, seen there.
    origin.replace(&second);
    ensure!(pulled(&Ours(&berth), &patient)? == first.id()?);
    e2e::programs::eventually("the other image is seen", || {
        Ok((pulled(&Ours(&berth), &eager)? == second.id()?).then_some(()))
    })?;
    let tag = eager.site().name("some/image:1");
    berth.berth(["pull", "-q", &tag])?.ok()?;
    berth.berth(["push", "-q", &tag])?.fails(1, "")?;
    berth.berth(["rmi", &tag])?.ok()?;
    // Nobody is there any more, and the caches start again.
    drop(origin);
    for (cache, picture) in [(&mut patient, &first), (&mut eager, &second)] {
        cache.terminate()?;
        cache.resume()?;
        ensure!(pulled(&Ours(&berth), cache)? == picture.id()?);
        let absent = cache.site().name("some/other:1");
        berth.berth(["pull", "-q", &absent])?.fails(1, "")?;
        cache.terminate()?;
    }
    berth.finish()
}

/// The cache signs in where it fetches; its own clients need no password for that.
#[test]
fn the_cache_has_credentials_of_its_own() -> Result<()> {
    for access in [Access::Password, Access::Token] {
        let mut origin = Registry::with(Kind::Debian, Wants { access, ..Wants::default() })?;
        let picture = picture(13)?;
        picture.push(&origin.probe_of("private/image")?, "private/image", "1")?;
        let folder = tempfile::tempdir()?;
        let secret = folder.path().join("password");
        std::fs::write(&secret, format!("{PASSWORD}\n"))?;
        let login = format!("username = \"{USER}\"\npassword = \"{}\"\n", secret.display());
        let mut open = cache(&origin.site().address, &login)?;
        let mut nobody = cache(&origin.site().address, "")?;
        let berth = Berth::bare(&[])?;
        let name = open.site().name("private/image:1");
        berth.berth(["pull", "-q", &name])?.ok().with_context(|| open.log())?;
        ensure!(Ours(&berth).id(&name)? == picture.id()?);
        berth.berth(["rmi", &name])?.ok()?;
        berth.berth(["pull", "-q", &nobody.site().name("private/image:1")])?.fails(1, "")?;
        ensure!(!open.log().contains(PASSWORD) && !nobody.log().contains(PASSWORD));
        for registry in [&mut open, &mut nobody, &mut origin] {
            registry.terminate()?;
        }
        berth.finish()?;
    }
    Ok(())
}
