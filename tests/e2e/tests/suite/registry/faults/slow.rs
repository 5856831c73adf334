//! Registries that take their time: whoever sends next to nothing is given up, whoever is merely slow is waited for.

use std::time::Duration;

use anyhow::Result;
use e2e::Berth;
use e2e::registry::Fault;

use super::{Ends, Lab, large, memory, picture};

const ALWAYS: u32 = u32::MAX;
const PAUSE: Duration = Duration::from_millis(500);

/// One attempt, for each takes the client's whole patience.
fn lab() -> Result<Lab> {
    let berth = Berth::bare(&["--max-download-attempts", "1"])?;
    let before = memory(&berth)?;
    Ok(Lab { berth, before })
}

#[test]
fn a_layer_byte_by_byte() -> Result<()> {
    let (lab, picture) = (lab()?, picture()?);
    lab.case("drips", &picture, Ends::Says(&["progress"]), |faulty| {
        faulty.fault(&large(&picture)?, ALWAYS, Fault::Drip(PAUSE));
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn a_head_byte_by_byte() -> Result<()> {
    let (lab, picture) = (lab()?, picture()?);
    lab.case("drips", &picture, Ends::Says(&["timeout"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::DripHead(Duration::from_secs(5)));
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn a_slow_line_is_no_fault() -> Result<()> {
    let (lab, picture) = (lab()?, picture()?);
    lab.case("slow", &picture, Ends::Works, |faulty| {
        faulty.fault(&large(&picture)?, ALWAYS, Fault::Slow(1 << 20));
        Ok(())
    })?;
    lab.finish()
}
