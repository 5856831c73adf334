//! Whom the daemon trusts, and who it says that it is.

use anyhow::{Context, Result, ensure};
use e2e::lab::Site;
use e2e::registry::engines::{Ours, OursByDocker};
use e2e::registry::tls::Authority;
use e2e::registry::{Access, Engine, Kind, PASSWORD, USER};

use super::{Net, copy, named, picture, pull, pulls};

/// Nobody's authority, another name, too late, no TLS: nothing is asked of such a registry, and the error says why.
#[test]
fn a_certificate_has_to_be_good() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[1])?, Authority::new()?);
    let here = named(Site::OUTSIDE);
    let good = net.serve(&picture, Some(&authority.issue("good", &here, 2)?))?;
    let late = net.serve(&picture, Some(&authority.issue_late("late", &here)?))?;
    let another = net.serve(&picture, Some(&authority.issue("another", "IP:192.0.2.1,DNS:r.example", 2)?))?;
    let clear = net.serve(&picture, None)?;
    let berth = net.daemon(&[], &[])?;
    let name = good.site().name("some/image:1");
    pull(&berth, &name)?.fails(1, "x509: certificate signed by unknown authority")?;
    net.trust(&good.site().address, &Authority::new()?)?;
    pull(&berth, &name)?.fails(1, "x509: certificate signed by unknown authority")?;
    ensure!(good.seen().is_empty(), "{:?}", good.seen());
    net.trust(&good.site().address, &authority)?;
    pulls(&berth, &name, &picture)?;
    // It is read anew for each request.
    net.forget(&good.site().address)?;
    pull(&berth, &name)?.fails(1, "x509: certificate signed by unknown authority")?;
    let wrong = [
        (&late, "x509: certificate has expired or is not yet valid"),
        (&another, "x509: certificate is valid for 192.0.2.1, r.example, not 198.51.100.2"),
        (&clear, "http: server gave HTTP response to HTTPS client"),
    ];
    for (server, words) in wrong {
        net.trust(&server.site().address, &authority)?;
        let name = server.site().name("some/image:1");
        pull(&berth, &name)?.fails(1, words)?;
        berth.docker(["pull", &name])?.fails(1, words)?;
        ensure!(server.seen().is_empty(), "{words}: {:?}", server.seen());
    }
    // A file that is none is named, and the registry is not asked at all.
    let folder = net.folder(&good.site().address)?;
    std::fs::write(folder.join("client.cert"), "")?;
    pull(&berth, &name)?.fails(1, "missing key client.key for client certificate client.cert")?;
    std::fs::remove_file(folder.join("client.cert"))?;
    std::fs::write(folder.join("ca.crt"), "no certificate")?;
    pull(&berth, &name)?.fails(1, "ca.crt: holds no certificate")?;
    net.finish(berth)
}

/// What is wrong with a certificate does not matter where the registry is said to be insecure, by its name or by its
/// network, nor that it has none. Others are asked as ever.
#[test]
fn insecure_registries_are_named() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[2])?, Authority::new()?);
    let late = net.serve(&picture, Some(&authority.issue_late("late", "DNS:r.example")?))?;
    let clear = net.serve(&picture, None)?;
    let other = net.serve(&picture, None)?;
    let names = [&late, &clear, &other].map(|server| server.site().name("some/image:1"));
    let [first, second] = [&late, &clear].map(|server| server.site().address);
    let options = ["--insecure-registry", &first, "--insecure-registry", &second];
    let mut berth = net.daemon(&[], &options)?;
    pulls(&berth, &names[0], &picture)?;
    pulls(&berth, &names[1], &picture)?;
    pull(&berth, &names[2])?.fails(1, "http: server gave HTTP response to HTTPS client")?;
    for network in ["198.51.100.0/24", "198.51.101.0/24"] {
        berth.finish()?;
        berth = net.daemon(&[], &["--insecure-registry", network])?;
        for name in &names {
            match network.contains("100.0") {
                true => pulls(&berth, name, &picture)?,
                false => pull(&berth, name)?.fails(1, "")?,
            }
        }
    }
    ensure!(other.asked("GET", "/manifests/").len() == 1, "{:?}", other.seen());
    net.finish(berth)
}

/// Registries that want to know who comes: nobody, somebody whom they don't know, and the right one.
#[test]
fn a_client_has_a_certificate() -> Result<()> {
    let net = Net::new()?;
    let berth = net.daemon(&[], &[])?;
    let strangers = Authority::new()?;
    let stranger = strangers.issue("stranger", "DNS:client", 2)?;
    for kind in Kind::ALL {
        let mut registry = net.registry(kind, Access::Open, true)?;
        let picture = picture(&[3])?;
        picture.push(&registry.probe_of("some/image")?, "some/image", "1")?;
        let site = registry.site().clone();
        let (name, authority) = (site.name("some/image:1"), registry.authority().context("no authority")?);
        net.trust(&site.address, authority)?;
        pull(&berth, &name)?.fails(1, "certificate").with_context(|| format!("{kind:?}"))?;
        authority.folder(&net.folder(&site.address)?, Some(&stranger))?;
        pull(&berth, &name)?.fails(1, "").with_context(|| format!("{kind:?}"))?;
        copy(site.certificates.as_ref().context("no certificates")?, &net.folder(&site.address)?)?;
        pulls(&berth, &name, &picture).with_context(|| format!("{kind:?}"))?;
        registry.terminate()?;
    }
    net.finish(berth)
}

/// A registry and its token server, both over TLS with certificates of a private authority.
#[test]
fn tokens_come_over_tls_as_well() -> Result<()> {
    let net = Net::new()?;
    let berth = net.daemon(&[], &[])?;
    for kind in Kind::ALL {
        let mut registry = net.registry(kind, Access::Token, false)?;
        let picture = picture(&[4])?;
        picture.push(&registry.probe_of("private/image")?, "private/image", "1")?;
        let (site, tokens) = (registry.site().clone(), registry.tokens().context("no token server")?);
        ensure!(tokens.realm().starts_with("https://"), "{}", tokens.realm());
        let name = site.name("private/image:1");
        let login = ["login", "-u", USER, "-p", PASSWORD, &site.address];
        let unknown = "x509: certificate signed by unknown authority";
        berth.berth(login)?.fails(1, unknown)?;
        ensure!(tokens.asked().is_empty(), "{:?}", tokens.asked());
        net.trust(&site.address, registry.authority().context("no authority")?)?;
        pull(&berth, &name)?.fails(1, "may require 'docker login'")?;
        for engine in [&Ours(&berth) as &dyn Engine, &OursByDocker(&berth)] {
            engine.login(&site)?;
            engine.pull(&site, "private/image:1")?;
            let pushed = format!("private/{}:1", engine.name().replace(' ', "-"));
            engine.tag(&name, &site.name(&pushed))?;
            engine.push(&site, &pushed)?;
            engine.remove(&site.name(&pushed))?;
            engine.remove(&name)?;
            engine.run(&["logout", &site.address])?.ok()?;
            pull(&berth, &name)?.fails(1, "may require 'docker login'")?;
        }
        // Its certificate is another's: the password does not go there.
        let asked = tokens.asked().len();
        net.trust(&site.address, &Authority::new()?)?;
        berth.berth(login)?.fails(1, unknown)?;
        ensure!(tokens.asked().len() == asked);
        registry.terminate()?;
    }
    net.finish(berth)
}
