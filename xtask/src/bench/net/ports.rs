//! Many ports at once. Docker starts a process for each and is given a hundredth of them: ten thousand take it
//! tens of minutes and gigabytes.

use anyhow::Result;
use e2e::Berth;
use e2e::peers::Docker;

use super::super::IMAGE;
use super::super::measure::{Row, in_turn, processes, pss, time};
use super::{Side, sides};

/// Ranges of ten thousand ports, and of a hundred.
const OURS: &str = "20000-29999:20000-29999";
const DOCKERS: &str = "30000-30099:30000-30099";
/// How the second is called in the report.
const PEER: &str = "docker, 100 ports";
const RUNS: usize = 3;

/// The time to publish and to take back, the daemon's growth, and processes.
pub(crate) fn range(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let start = |side: &Side<'_>, ports: &'static str| {
        time(side.command(&["run", "-d", "--name", "bench", "-p", ports, IMAGE, "sleep", "1000"])?)
    };
    let remove = |side: &Side<'_>| time(side.command(&["rm", "-f", "bench"])?);
    let before = [pss(berth.pid()?)?, pss(docker.pid())?];
    let mut removals = [Vec::new(), Vec::new()];
    let (mut growth, mut helpers) = ([0.0, 0.0], [0, 0]);
    let mut one = |at: usize, ports: &'static str| -> Result<f64> {
        let took = start(&engines[at], ports)?;
        let more = if at == 0 {
            // The shim is the container's, ports or not.
            let all = processes("berth-shim", &berth.root().display().to_string());
            helpers[at] = all.len() - 1;
            pss(berth.pid()?)?
        } else {
            let proxies = processes("docker-proxy", "-host-port\x00300");
            helpers[at] = proxies.len();
            proxies.iter().try_fold(pss(docker.pid())?, |sum, pid| anyhow::Ok(sum + pss(*pid)?))?
        };
        growth[at] = more - before[at];
        removals[at].push(remove(&engines[at])?);
        Ok(took)
    };
    let one = std::cell::RefCell::new(&mut one);
    let (ours, theirs) = in_turn(|| one.borrow_mut()(0, OURS), || one.borrow_mut()(1, DOCKERS), RUNS)?;
    let [ours_removed, theirs_removed] = removals.map(super::super::measure::median);
    Ok(vec![
        Row::new("run -d with 10,000 ports published", "ms", ours, PEER, theirs),
        Row::new("rm -f of it", "ms", ours_removed, PEER, theirs_removed),
        Row::new("growth of the daemon and its helpers, PSS", "MiB", growth[0], PEER, growth[1]),
        Row::new("processes for the ports", "", helpers[0] as f64, PEER, helpers[1] as f64),
    ])
}
