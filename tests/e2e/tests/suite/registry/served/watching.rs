//! Signals, numbers and webhooks.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::programs::PATIENCE;
use e2e::registry::listener::{Ended, Listener, Request, Stream, answer};
use e2e::registry::{Access, HTPASSWD, Kind, PASSWORD, Probe, Registry, Site, USER, Wants};
use rustix::process::Signal;
use serde_json::Value;

use super::{kept, picture, says, signal};

/// Hears what a registry posts.
fn receiver() -> Result<(Listener, Receiver<Request>)> {
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let handler = move |request: &Request, stream: &mut dyn Stream| {
        if let Ok(told) = told.lock() {
            // who does not listen any more has heard enough
            let _ = told.send(request.clone());
        }
        answer(stream, 200, &[], b"")
    };
    Ok((Listener::http(None, None, Arc::new(Ended::default()), Arc::new(handler))?, heard))
}

/// A pushed and a pulled image are told to whom they concern, counted, and gone after a deletion and SIGUSR1.
#[test]
fn hooks_numbers_and_a_collection_on_demand() -> Result<()> {
    let (listener, heard) = receiver()?;
    let more = format!(
        "[gc]\nenabled = false\ngrace = \"1s\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [[webhooks]]\nurl = \"http://{}/hook\"\nactions = [\"push\", \"delete\"]\nrepositories = [\"team/*\"]\n",
        listener.address()
    );
    let mut registry = Registry::with(Kind::Ours, Wants { more, ..Wants::default() })?;
    let (berth, picture) = (Berth::bare(&[])?, picture(1)?);
    let probe = registry.probe_of("team/app")?;
    picture.push(&probe, "other/app", "1")?;
    picture.push(&probe, "team/app", "1")?;
    berth.berth(["pull", "-q", &registry.site().name("team/app:1")])?.ok()?;
    let next = || -> Result<Value> {
        let request = heard.recv_timeout(PATIENCE).context("nothing is posted")?;
        ensure!((request.method.as_str(), request.path()) == ("POST", "/hook"), "{request:?}");
        Ok(serde_json::from_slice::<Value>(&request.body)?["events"][0].take())
    };
    let event = next()?;
    ensure!(event["action"] == "push" && event["target"]["repository"] == "team/app", "{event}");
    ensure!(event["target"]["tag"] == "1" && event["target"]["digest"] == picture.root.as_str(), "{event}");

    let log = registry.log();
    let address = log.split("numbers are told at http://").nth(1).and_then(|rest| rest.split('/').next());
    let numbers = Probe::new(&Site::open(address.context("no address of numbers")?.to_owned()));
    let text = String::from_utf8(numbers.get("/metrics")?.expect("numbers", &[200])?.body)?;
    let line = "berth_registry_request_seconds_count{method=\"GET\",route=\"blob\",code=\"200\"}";
    ensure!(text.lines().any(|one| one.starts_with(line)) && !text.contains("team"), "{text}");

    // in both repositories, so that nothing refers to the bytes any more
    for name in ["team/app", "other/app"] {
        let target = format!("/v2/{name}/manifests/{}", picture.root);
        probe.ask("DELETE", &target, &[], None)?.expect(&target, &[202])?;
    }
    ensure!(next()?["action"] == "delete");
    ensure!(kept(&registry)?.len() > picture.blobs.len(), "they stay until garbage is collected");
    // Links go a grace period after the manifest, and bytes another one later.
    e2e::programs::eventually("the garbage goes", || {
        signal(&registry, Signal::USR1)?;
        Ok(kept(&registry)?.is_empty().then_some(()))
    })?;
    says(&registry, "garbage was collected in ")?;
    let text = String::from_utf8(numbers.get("/metrics")?.body)?;
    let counted = text.lines().find_map(|line| line.strip_prefix("berth_registry_gc_blobs_total "));
    ensure!(counted.is_some_and(|count| count != "0"), "{text}");
    for digest in picture.blobs.keys() {
        let target = format!("/v2/team/app/blobs/{digest}");
        probe.ask("HEAD", &target, &[], None)?.expect(&target, &[404])?;
    }
    registry.terminate()?;
    berth.finish()
}

/// Passwords are read anew at SIGHUP; with a mistake in them everything stays as it was, and the log says so.
#[test]
fn users_and_certificates_are_read_anew() -> Result<()> {
    let mut registry = Registry::with(Kind::Ours, Wants { access: Access::Password, ..Wants::default() })?;
    let berth = Berth::bare(&[])?;
    let site = registry.site().clone();
    let login = |user: &str| berth.berth(["login", "-u", user, "-p", PASSWORD, &site.address]);
    let htpasswd = registry.root().join("htpasswd");
    let replace = |text: &str| -> Result<()> {
        // at once, as an administrator's tool does
        let new = registry.root().join("htpasswd.new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, &htpasswd)?)
    };
    login(USER)?.ok()?;
    login("other")?.fails(1, "401 Unauthorized")?;
    replace(&HTPASSWD.replace("user:", "other:"))?;
    login("other")?.fails(1, "401 Unauthorized")?;
    signal(&registry, Signal::HUP)?;
    says(&registry, "were read anew")?;
    login("other")?.ok()?;
    login(USER)?.fails(1, "401 Unauthorized")?;
    replace("nonsense\n")?;
    signal(&registry, Signal::HUP)?;
    says(&registry, "everything stays as it was")?;
    login("other")?.ok()?;
    registry.terminate()?;
    berth.finish()
}
