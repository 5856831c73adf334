//! Layers that lie elsewhere.

use anyhow::{Context, Result, ensure};
use e2e::lab::Site;
use e2e::registry::engines::Ours;
use e2e::registry::tls::Authority;
use e2e::registry::{Engine, Fault, PASSWORD, USER};
use serde_json::json;

use super::{Net, named, picture};

/// They are fetched from where the manifest says, by nobody in particular, and are pushed only where that is wanted.
#[test]
fn foreign_layers_are_fetched_from_elsewhere_and_stay_there() -> Result<()> {
    let (net, whole, authority) = (Net::new()?, picture(&[30, 31])?, Authority::new()?);
    let pair = authority.issue("server", &named(Site::OUTSIDE), 2)?;
    let (storage, registry) = (net.serve(&whole, Some(&pair))?, net.serve(&whole, Some(&pair))?);
    let (target, willing) = (net.serve(&whole, Some(&pair))?, net.serve(&whole, Some(&pair))?);
    let (layer, _) = whole.layers()?.pop().context("no layer")?;
    // nobody is at the first
    let there = format!("https://{}/v2/s/blobs/{layer}", storage.site().address);
    let picture = whole.altered(|manifest| {
        let layer = &mut manifest["layers"][1];
        layer["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        layer["urls"] = json!(["https://198.51.100.2:9/x", there]);
    })?;
    registry.replace(&picture);
    registry.guard("Basic realm=\"test\"");
    for server in [&registry, &target, &willing] {
        let none = Fault::error(404, "BLOB_UNKNOWN", "it is elsewhere");
        server.fault(&format!("/blobs/{layer}"), u32::MAX, none);
        net.trust(&server.site().address, &authority)?;
    }
    let mut site = registry.site();
    site.login = Some((USER.to_owned(), PASSWORD.to_owned()));
    let address = willing.site().address;
    let berth = net.daemon(&[], &["--allow-nondistributable-artifacts", &address])?;
    let engine = Ours(&berth);
    engine.login(&site)?;
    engine.pull(&site, "some/image:1")?;
    let name = site.name("some/image:1");
    ensure!(engine.id(&name)? == picture.id()?);
    ensure!(storage.fetched(&layer) == picture.layers()?[1].1, "{:?}", storage.seen());
    let heard = storage.seen();
    ensure!(heard.iter().all(|one| one.request.header("authorization").is_none()), "{heard:?}");

    // The manifest goes as it is and the layer does not; to whom it may, it goes as any other layer.
    for (server, skipped) in [(&target, true), (&willing, false)] {
        let pushed = server.site().name("copy/image:1");
        engine.tag(&name, &pushed)?;
        let said = engine.push(&server.site(), "copy/image:1")?;
        ensure!(said.contains("Skipped foreign layer") == skipped, "{said}");
        ensure!(said.contains(&picture.root) == skipped, "{said}");
        ensure!((server.asked("PUT", "/blobs/uploads/").is_empty()) == skipped, "{:?}", server.seen());
        engine.remove(&pushed)?;
    }
    engine.remove(&name)?;
    net.finish(berth)
}
