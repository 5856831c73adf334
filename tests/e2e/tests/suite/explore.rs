//! `berth image explore`: the layers of an image, what is wasted, and rules for it.

use anyhow::{Result, ensure};
use e2e::daemon::Berth;
use e2e::image::Image;
use e2e::pty::Terminal;
use serde_json::Value;

/// 3000 bytes of which 2000 are wasted: a file of 1500 written twice, one of 500 removed.
fn wasteful(berth: &Berth) -> Result<()> {
    let mut image = Image::scratch();
    image.layer(|layer| {
        layer.dir("srv/", 0o755)?;
        layer.file("srv/gone", 0o644, &[b'g'; 500])?;
        layer.file("srv/kept", 0o644, &[b'k'; 1500])
    })?;
    image.layer(|layer| {
        layer.file("srv/.wh.gone", 0o644, b"")?;
        layer.file("srv/kept", 0o600, &[b'k'; 1500])?;
        layer.file("srv/new", 0o644, b"")
    })?;
    berth.load(&image, "wasteful:1").map(drop)
}

#[test]
fn an_image_is_explored_without_a_terminal() -> Result<()> {
    let berth = Berth::bare(&[])?;
    wasteful(&berth)?;
    let text = berth.berth(["image", "explore", "wasteful:1"])?.ok()?;
    ensure!(text.contains("Efficiency:   42.86%") && text.contains("Wasted:       2kB"), "{text}");
    ensure!(text.contains("500B      1         /srv/gone"), "{text}");
    let json: Value =
        serde_json::from_str(&berth.berth(["image", "explore", "--json", "wasteful:1"])?.ok()?)?;
    ensure!(json["image"]["sizeBytes"] == 3500 && json["image"]["inefficientBytes"] == 2000, "{json}");
    ensure!(json["layer"][1]["command"] == "layer 2" && json["layer"][1]["removed"] == 1, "{json}");
    let listed = json["layer"][1]["fileList"].as_array().map(Vec::len);
    ensure!(listed == Some(4), "{json}");

    // The same from what docker's client saved, whole and by a pipe.
    let saved = berth.root().join("saved.tar");
    let saved = saved.to_string_lossy();
    berth.docker(["save", "-o", &saved, "wasteful:1"])?.ok()?;
    let again = berth.berth(["image", "explore", "--json", "--input", &saved])?.ok()?;
    ensure!(serde_json::from_str::<Value>(&again)? == json, "{again}");
    berth.berth(["image", "explore", "--input", &saved, "other:1"])?.ok()?;
    berth.berth(["image", "explore", "absent"])?.fails(1, "No such image: absent")?;
    berth.berth(["image", "explore"])?.fails(1, "name an image, or a file by --input")?;
    berth.finish()
}

#[test]
fn rules_judge_an_image() -> Result<()> {
    let berth = Berth::bare(&[])?;
    wasteful(&berth)?;
    let explore = |args: &[&str]| berth.berth([&["image", "explore", "wasteful:1"], args].concat());
    explore(&["--ci"])?.fails(1, "FAIL      lowestEfficiency           0.4286     at least 0.9")?;
    explore(&["--ci"])?.fails(1, "SKIP      highestWastedBytes")?;
    let lenient = ["--lowest-efficiency", "0.4", "--highest-user-wasted-percent", "disabled"];
    let passed = explore(&lenient)?.ok()?;
    ensure!(passed.contains("PASS      lowestEfficiency"), "{passed}");

    let file = berth.root().join("rules.yaml");
    std::fs::write(
        &file,
        "rules:\n  lowestEfficiency: 0.1\n  highestWastedBytes: 2kB\n  highestUserWastedPercent: disabled\n",
    )?;
    let file = file.to_string_lossy();
    explore(&["--ci-config", &file])?
        .fails(1, "FAIL      highestWastedBytes         2000       below 2000")?;
    explore(&["--ci-config", &file, "--highest-wasted-bytes", "3KiB"])?.ok()?;
    explore(&["--ci-config", "/nonexistent/x"])?.fails(1, "/nonexistent/x: no such file or directory")?;
    explore(&["--lowest-efficiency", "2"])?.fails(1, "neither a number from 0 to 1")?;
    berth.finish()
}

#[test]
fn an_image_is_explored_on_a_terminal() -> Result<()> {
    let berth = Berth::bare(&[])?;
    wasteful(&berth)?;
    let explore = || -> Result<Terminal> {
        let mut terminal = Terminal::spawn(&mut berth.berth_command(["image", "explore", "wasteful:1"])?)?;
        terminal.expect("\x1b[?1049h")?;
        terminal.expect("quit")?;
        Ok(terminal)
    };
    let mut terminal = explore()?;
    terminal.send("j")?;
    terminal.expect("new")?;
    terminal.send("/kept")?;
    terminal.expect("/kept")?;
    terminal.send("\r")?;
    terminal.resize(30, 100)?;
    terminal.expect("quit")?;
    terminal.send("q")?;
    let (code, rest) = terminal.wait()?;
    ensure!(code == 0 && rest.contains("\x1b[?25h\x1b[?1049l"), "{code} {rest:?}");

    // A signal gives the terminal back, too.
    let terminal = explore()?;
    terminal.signal(rustix::process::Signal::TERM)?;
    let (code, rest) = terminal.wait()?;
    ensure!(code == 143 && rest.contains("\x1b[?25h\x1b[?1049l"), "{code} {rest:?}");
    berth.finish()
}
