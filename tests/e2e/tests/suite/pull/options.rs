//! What the daemon is told of registries.

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::http;
use e2e::registry::{Faulty, Packing, Style};
use rustix::process::{Pid, Signal};

use super::picture;

/// Docker Hub's images come from its mirror; one layer at a time when that is asked for; and a reload counts.
#[test]
fn mirrors_numbers_and_a_reload() -> Result<()> {
    let picture = picture(Style::Oci, &[Packing::Gzip], &[400_000, 300_000, 200_000])?;
    let mirror = Faulty::start(&picture)?;
    let url = format!("http://{}", mirror.site().address);
    let berth = Berth::bare(&["--registry-mirror", &url, "--max-concurrent-downloads", "1"])?;
    let said = berth.berth(["pull", "some/image:1"])?.ok()?;
    ensure!(said.contains("1: Pulling from some/image\n") && said.contains(": Waiting\n"), "{said}");
    ensure!(
        said.ends_with("Status: Downloaded newer image for some/image:1\ndocker.io/some/image:1"),
        "{said}"
    );
    ensure!(!mirror.asked("GET", "/v2/some/image/manifests/").is_empty());
    let info = || http::get(berth.root(), "/info");
    let config = info()?["RegistryConfig"].take();
    ensure!(config["Mirrors"][0] == format!("{url}/"), "{config}");

    let mut events = http::ask(berth.root(), "GET", "/events?filters=%7B%22event%22:%5B%22reload%22%5D%7D")?;
    std::fs::write(berth.root().join("daemon.json"), r#"{"insecure-registries": ["old.example:5000"]}"#)?;
    let pid = Pid::from_raw(i32::try_from(berth.pid()?)?).context("no pid")?;
    rustix::process::kill_process(pid, Signal::HUP)?;
    events.line()?.context("no reload")?;
    let config = info()?["RegistryConfig"].take();
    ensure!(config["IndexConfigs"]["old.example:5000"]["Secure"] == false, "{config}");
    ensure!(config["Mirrors"][0] == format!("{url}/"), "{config}");
    berth.finish()
}
