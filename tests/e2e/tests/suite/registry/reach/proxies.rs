//! The way through a proxy: from the environment, the options and `daemon.json`, and what goes past it.

use anyhow::{Result, ensure};
use e2e::http;
use e2e::lab::Site;
use e2e::registry::proxy::Proxy;
use e2e::registry::tls::Authority;

use super::{Net, named, picture, pull, pulls};

/// Nobody listens there.
const DEAD: &str = "http://198.51.100.2:9";

#[test]
fn registries_are_reached_through_the_environments_proxies() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[10])?, Authority::new()?);
    let secure = net.serve(&picture, Some(&authority.issue("server", &named(Site::OUTSIDE), 2)?))?;
    let clear = net.serve(&picture, None)?;
    let (secure, clear) = (secure.site(), clear.site());
    net.trust(&secure.address, &authority)?;
    let place = Some(net.outside()?);
    let [plain, tunnel] = [Proxy::start(place, None)?, Proxy::start(place, Some(("me", "p:w")))?];
    let with_login = tunnel.url().replace("http://", "http://me:p%3Aw@");
    let insecure = ["--insecure-registry", clear.address.as_str()];
    let proxies = [("HTTP_PROXY", plain.url()), ("https_proxy", with_login)];
    let proxies = proxies.each_ref().map(|(name, value)| (*name, value.as_str()));
    let berth = net.daemon(&proxies, &insecure)?;
    pulls(&berth, &secure.name("some/image:1"), &picture)?;
    ensure!(plain.asked().is_empty(), "{:?}", plain.asked());
    let tunnels = tunnel.asked();
    let connect = format!("CONNECT {}", secure.address);
    ensure!(!tunnels.is_empty() && tunnels.iter().all(|line| *line == connect), "{tunnels:?}");
    pulls(&berth, &clear.name("some/image:1"), &picture)?;
    let manifest = format!("GET http://{}/v2/some/image/manifests/1", clear.address);
    ensure!(plain.asked().iter().any(|line| line.starts_with(&manifest)), "{:?}", plain.asked());
    // No password of a proxy is told.
    let info = http::get(berth.root(), "/info")?;
    ensure!(info["HttpsProxy"] == tunnel.url().replace("http://", "http://xxxxx:xxxxx@"), "{info}");
    berth.finish()?;

    // Past the proxies, by address with a port and by network.
    let direct = format!("x.example,{}", secure.address);
    for (direct, words) in [(direct.as_str(), Some(&clear)), ("198.51.100.0/24", None)] {
        let dead = [("HTTP_PROXY", DEAD), ("HTTPS_PROXY", DEAD), ("NO_PROXY", direct)];
        let berth = net.daemon(&dead, &insecure)?;
        pulls(&berth, &secure.name("some/image:1"), &picture)?;
        match words {
            Some(site) => pull(&berth, &site.name("some/image:1"))?.fails(1, "198.51.100.2:9")?,
            None => pulls(&berth, &clear.name("some/image:1"), &picture)?,
        }
        berth.finish()?;
    }
    // A proxy that does not let us through is named with what it says.
    let wrong = tunnel.url().replace("http://", "http://me:other@");
    let berth = net.daemon(&[("HTTPS_PROXY", &wrong)], &[])?;
    let ran = pull(&berth, &secure.name("some/image:1"))?;
    ensure!(ran.stderr.contains("407") && !ran.stderr.contains("other"), "{ran:?}");
    ran.fails(1, &tunnel.url())?;
    net.finish(berth)
}

/// What the daemon is told counts, not its environment; `daemon.json` has them together.
#[test]
fn the_daemons_own_proxies_come_first() -> Result<()> {
    let (net, picture, authority) = (Net::new()?, picture(&[11])?, Authority::new()?);
    let secure = net.serve(&picture, Some(&authority.issue("server", &named(Site::OUTSIDE), 2)?))?;
    let clear = net.serve(&picture, None)?;
    let (secure, clear) = (secure.site(), clear.site());
    net.trust(&secure.address, &authority)?;
    let proxy = Proxy::start(Some(net.outside()?), None)?;
    let url = proxy.url();
    let environment = [("HTTP_PROXY", DEAD), ("HTTPS_PROXY", DEAD), ("NO_PROXY", "")];
    let insecure = ["--insecure-registry", clear.address.as_str()];
    let options = ["--http-proxy", url.as_str(), "--https-proxy", url.as_str()];
    let berth = net.daemon(&environment, &[&insecure[..], &options[..]].concat())?;
    pulls(&berth, &secure.name("some/image:1"), &picture)?;
    pulls(&berth, &clear.name("some/image:1"), &picture)?;
    let asked = proxy.asked();
    ensure!(asked.iter().any(|line| line.starts_with("CONNECT ")), "{asked:?}");
    ensure!(asked.iter().any(|line| line.starts_with("GET http://")), "{asked:?}");
    berth.finish()?;

    let mut berth = net.daemon(&environment, &insecure)?;
    pull(&berth, &secure.name("some/image:1"))?.fails(1, "198.51.100.2:9")?;
    berth.terminate()?;
    let proxies = serde_json::json!({"proxies": {
        "http-proxy": DEAD, "https-proxy": url, "no-proxy": clear.address,
    }});
    std::fs::write(berth.root().join("daemon.json"), proxies.to_string())?;
    berth.spawn()?;
    let before = proxy.asked().len();
    pulls(&berth, &secure.name("some/image:1"), &picture)?;
    ensure!(proxy.asked().len() > before, "{:?}", proxy.asked());
    let before = proxy.asked().len();
    pulls(&berth, &clear.name("some/image:1"), &picture)?;
    ensure!(proxy.asked().len() == before, "{:?}", proxy.asked());
    let info = http::get(berth.root(), "/info")?;
    ensure!(info["NoProxy"] == clear.address.as_str() && info["HttpsProxy"] == url.as_str(), "{info}");
    net.finish(berth)
}
