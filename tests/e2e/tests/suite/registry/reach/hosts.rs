//! Who is asked in a registry's place: `hosts.toml`, and Docker Hub's mirrors.

use anyhow::{Context, Result, ensure};
use e2e::lab::Site;
use e2e::registry::tls::Authority;
use e2e::registry::{Access, Faulty, Kind};

use super::{Net, copy, named, picture, pull, pulls};

/// Requests for manifests by tag and for blobs.
fn asked(server: &Faulty) -> (usize, usize) {
    (server.asked("GET", "/manifests/1").len(), server.asked("GET", "/blobs/").len())
}

/// Each host is asked for what it can do, where its API begins, with its own headers and by its own authority.
#[test]
fn hosts_do_what_they_are_said_to_do() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[20, 21])?, Authority::new()?);
    let pair = authority.issue("server", &named(Site::OUTSIDE), 2)?;
    let [blobs, names, own] = [(); 3].map(|()| net.serve(&picture, Some(&pair)));
    let (blobs, names, own) = (blobs?, names?, own?);
    let at = |server: &Faulty| format!("https://{}", server.site().address);
    let text = format!(
        "server = \"{}\"\nca = \"ca.crt\"\n\
         [host.\"{}\"]\ncapabilities = [\"pull\"]\nca = \"ca.crt\"\n\
         [host.\"{}/mirrors/here\"]\ncapabilities = [\"pull\", \"resolve\"]\noverride_path = true\nca = [\"ca.crt\"]\n\
         [host.\"{}/mirrors/here\".header]\nx-of = \"berth\"\nx-more = [\"one\", \"two\"]\n",
        at(&own),
        at(&blobs),
        at(&names),
        at(&names),
    );
    // no name that anybody could look up
    let registry = "reg.invalid:5000";
    net.trust(registry, &authority)?;
    net.hosts(registry, &text)?;
    let berth = net.daemon(&[], &[])?;
    let name = format!("{registry}/some/image:1");
    berth.berth(["pull", "-q", &name])?.ok()?;
    ensure!(berth.berth(["image", "inspect", "-f", "{{.Id}}", &name])?.ok()? == picture.id()?);
    // the configuration and two layers; by tag is not what the first can do
    ensure!(
        asked(&blobs) == (0, 3) && asked(&names) == (1, 0) && asked(&own) == (0, 0),
        "{:?}",
        names.seen()
    );
    for one in names.seen() {
        let target = &one.request.target;
        ensure!(target.starts_with("/mirrors/here/some/image/manifests/"), "{target}");
        ensure!(one.request.parameter("ns").as_deref() == Some(registry), "{target}");
        ensure!(one.request.header("x-of") == Some("berth"), "{one:?}");
        let more: Vec<_> = one.request.headers.iter().filter(|(name, _)| name == "x-more").collect();
        ensure!(more.len() == 2, "{one:?}");
    }
    ensure!(blobs.seen().iter().all(|one| one.request.header("x-of").is_none()));
    // Nothing is pushed to what can't take it.
    berth.berth(["tag", &name, &format!("{registry}/some/other:2")])?.ok()?;
    berth.berth(["push", "-q", &format!("{registry}/some/other:2")])?.ok()?;
    ensure!(own.asked("PUT", "/v2/some/other/manifests/2").len() == 1, "{:?}", own.seen());
    for server in [&blobs, &names] {
        ensure!(server.asked("PUT", "").is_empty() && server.asked("POST", "").is_empty());
    }
    berth.berth(["rmi", &name, &format!("{registry}/some/other:2")])?.ok()?;

    // One that fails, and one that nobody trusts, are passed by; if none is left, the last error is told.
    blobs.cut();
    net.hosts(
        registry,
        &text.replacen(
            "ca = \"ca.crt\"\n[host",
            "ca = \"ca.crt\"\n[host.\"https://198.51.100.2:9\"]\n[host",
            1,
        ),
    )?;
    names.fault("/manifests/", u32::MAX, e2e::registry::Fault::error(500, "UNKNOWN", "broken"));
    pulls(&berth, &name, &picture)?;
    ensure!(asked(&own).0 == 1, "{:?}", own.seen());
    net.hosts(registry, &text.replace("ca = \"ca.crt\"", "").replace("ca = [\"ca.crt\"]", ""))?;
    pull(&berth, &name)?.fails(1, "x509: certificate signed by unknown authority")?;
    net.hosts(registry, &text.replace("ca = \"ca.crt\"", "skip_verify = true"))?;
    pulls(&berth, &name, &picture)?;
    net.hosts(registry, "server = 5\n")?;
    pull(&berth, &name)?.fails(1, "hosts.toml")?;
    net.hosts(registry, &text.replace("\"resolve\"", "\"solve\""))?;
    pull(&berth, &name)?.fails(1, "unknown capability \"solve\"")?;
    net.finish(berth)
}

/// A certificate of ours in `hosts.toml`, and a password that only the server hears.
#[test]
fn a_host_wants_to_know_who_comes() -> Result<()> {
    let net = Net::new()?;
    let picture = picture(&[22])?;
    let berth = net.daemon(&[], &[])?;
    for kind in Kind::ALL {
        let mut registry = net.registry(kind, Access::Open, true)?;
        picture.push(&registry.probe_of("some/image")?, "some/image", "1")?;
        let site = registry.site();
        let name = "certs.invalid/some/image:1";
        let folder = net.folder("certs.invalid")?;
        copy(site.certificates.as_ref().context("no certificates")?, &folder)?;
        let server = format!("server = \"https://{}\"\nca = \"ca.crt\"\n", site.address);
        net.hosts("certs.invalid", &server)?;
        pull(&berth, name)?.fails(1, "").with_context(|| format!("{kind:?}"))?;
        net.hosts("certs.invalid", &format!("{server}client = [[\"client.cert\", \"client.key\"]]\n"))?;
        pulls(&berth, name, &picture).with_context(|| format!("{kind:?}"))?;
        registry.terminate()?;
    }
    net.finish(berth)
}

/// Docker Hub's mirrors over TLS: one after the other, and only for Docker Hub; a password for the registry is not
/// for them.
#[test]
fn mirrors_are_asked_for_docker_hubs_images_only() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[23])?, Authority::new()?);
    let pair = authority.issue("server", &named(Site::OUTSIDE), 2)?;
    let [first, second, other] = [(); 3].map(|()| net.serve(&picture, Some(&pair)));
    let (first, second, other) = (first?, second?, other?);
    for server in [&first, &second, &other] {
        net.trust(&server.site().address, &authority)?;
    }
    let [a, b] = [&first, &second].map(|server| format!("https://{}", server.site().address));
    let berth = net.daemon(&[], &["--registry-mirror", &a, "--registry-mirror", &b])?;
    pulls(&berth, "some/image:1", &picture)?;
    ensure!(asked(&first).0 == 1 && asked(&second) == (0, 0), "{:?}", second.seen());
    pulls(&berth, &other.site().name("some/image:1"), &picture)?;
    ensure!(asked(&other).0 == 1 && asked(&first).0 == 1 && asked(&second).0 == 0);
    // What the first does not have, and a blob that it breaks.
    first.fault(
        "/library/two/manifests/",
        u32::MAX,
        e2e::registry::Fault::error(404, "MANIFEST_UNKNOWN", "no"),
    );
    pulls(&berth, "two:1", &picture)?;
    ensure!(asked(&second).0 == 1 && second.seen()[0].request.target.contains("/library/two/"));
    ensure!(second.seen().iter().all(|one| one.request.header("authorization").is_none()));
    net.forget(&first.site().address)?;
    second.forget();
    pulls(&berth, "some/image:1", &picture)?;
    ensure!(asked(&second).0 == 1, "{:?}", second.seen());
    net.finish(berth)
}
