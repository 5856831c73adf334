//! Registries that take their time: whoever sends next to nothing is given up, whoever is merely slow is waited for.

use std::time::Duration;

use anyhow::Result;
use e2e::Berth;
use e2e::registry::engines::Ours;
use e2e::registry::{Engine, Fault, Faulty, Picture};

use super::{Ends, Lab, large, memory, picture};

const ALWAYS: u32 = u32::MAX;
const PAUSE: Duration = Duration::from_millis(500);
/// What the daemon waits for registries, in seconds.
const PATIENCE: &str = "3";

/// One attempt, for each takes the client's whole patience.
fn lab(variables: &[(&str, &str)]) -> Result<Lab> {
    let berth = Berth::with_environment(variables, &["--max-download-attempts", "1"])?;
    berth.berth(["rmi", e2e::daemon::IMAGE])?.ok()?;
    let before = memory(&berth)?;
    Ok(Lab { berth, before })
}

#[test]
fn a_layer_byte_by_byte() -> Result<()> {
    let (lab, picture) = (lab(&[("BERTH_REGISTRY_PATIENCE", PATIENCE)])?, picture()?);
    lab.case("drips", &picture, Ends::Says(&["progress"]), |faulty| {
        faulty.fault(&large(&picture)?, ALWAYS, Fault::Drip(PAUSE));
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn a_head_byte_by_byte() -> Result<()> {
    let (lab, picture) = (lab(&[("BERTH_REGISTRY_PATIENCE", PATIENCE)])?, picture()?);
    lab.case("drips", &picture, Ends::Says(&["timeout"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::DripHead(Duration::from_secs(5)));
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn a_slow_line_is_no_fault() -> Result<()> {
    let (lab, picture) = (lab(&[])?, picture()?);
    lab.case("slow", &picture, Ends::Works, |faulty| {
        faulty.fault(&large(&picture)?, ALWAYS, Fault::Slow(1 << 20));
        Ok(())
    })?;
    lab.finish()
}

/// A registry that is silent at the end of an upload is asked what it has; one that stays silent is given up.
#[test]
fn silence_at_the_end_of_an_upload() -> Result<()> {
    let options = ["--max-download-attempts", "2"];
    let berth = Berth::with_environment(&[("BERTH_REGISTRY_PATIENCE", PATIENCE)], &options)?;
    let engine = Ours(&berth);
    for (times, ends) in [(1, None), (ALWAYS, Some("timeout awaiting response headers"))] {
        let faulty = Faulty::start(&Picture::default())?;
        let site = faulty.site();
        engine.tag(e2e::daemon::IMAGE, &site.name("some/image:1"))?;
        faulty.rule(Some("PUT"), "/blobs/uploads/", 0, times, Fault::Silent);
        let ran = engine.run(&["push", &site.name("some/image:1")])?;
        match ends {
            Some(words) => ran.fails(1, words)?,
            None => ran.ok().map(drop)?,
        }
        engine.remove(&site.name("some/image:1"))?;
    }
    berth.finish()
}
