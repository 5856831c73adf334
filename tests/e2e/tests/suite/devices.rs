//! Devices by name: CDI specifications in JSON and YAML, and GPUs through them.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

const JSON: &str = r#"{"cdiVersion":"0.6.0","kind":"vendor.com/thing",
 "containerEdits":{"env":["ALL=1"]},
 "devices":[{"name":"one","containerEdits":{"env":["ONE=1"],"additionalGids":[4242],
   "deviceNodes":[{"path":"/dev/thing","hostPath":"/dev/zero","permissions":"rw"}],
   "mounts":[{"hostPath":"/etc/hostname","containerPath":"/thing","options":["ro"]}]}}]}"#;

const YAML: &str = "cdiVersion: 0.3.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env:\n    - GPU=all\n- name: \"0\"\n  containerEdits:\n    env:\n    - GPU=zero\n";

#[test]
fn devices_by_name_and_gpus() -> Result<()> {
    let specs = tempfile::tempdir()?;
    let directory = specs.path().to_string_lossy().into_owned();
    let berth = Berth::bare(&["--cdi-spec-dir", &directory])?;
    berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
    let run = |options: &[&str], script: &str| {
        berth.docker([&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
    };
    for (form, words) in [("all", "[[gpu]]"), ("driver=foo", "driver \"foo\"")] {
        run(&["--gpus", form], "true")?.fails(125, "could not select device driver")?;
        run(&["--gpus", form], "true")?.fails(125, words)?;
    }
    std::fs::write(specs.path().join("a.json"), JSON)?;
    std::fs::write(specs.path().join("b.yaml"), YAML)?;
    let script = "echo $ALL$ONE; id -G; head -c 1 /dev/thing | wc -c; test -s /thing && ! echo x 2>/dev/null > /thing && echo ro";
    let seen = run(&["--device", "vendor.com/thing=one"], script)?.ok()?;
    ensure!(seen.lines().map(str::trim).collect::<Vec<_>>() == ["11", "0 4242", "1", "ro"], "{seen}");
    let ours =
        berth.berth(["run", "--rm", "--device", "vendor.com/thing=one", IMAGE, "sh", "-c", script])?.ok()?;
    ensure!(ours == seen, "{ours}");
    ensure!(run(&["--gpus", "all"], "echo $GPU")?.ok()? == "all");
    ensure!(run(&["--gpus", "device=0"], "echo $GPU")?.ok()? == "zero");
    run(&["--device", "vendor.com/thing=two"], "true")?
        .fails(125, "unresolvable CDI devices vendor.com/thing=two")?;
    // a hook runs on the host; one that nobody would run is refused
    let hooked = specs.path().join("hooked");
    for (place, code) in [("createRuntime", 0), ("poststop", 125)] {
        let hook = format!(
            r#"{{"cdiVersion":"0.6.0","kind":"vendor.com/hook","devices":[{{"name":"one","containerEdits":
             {{"hooks":[{{"hookName":"{place}","path":"/bin/touch","args":["touch","{}"]}}]}}}}]}}"#,
            hooked.display()
        );
        std::fs::write(specs.path().join("d.json"), hook)?;
        let ran = run(&["--device", "vendor.com/hook=one"], "true")?;
        if code == 0 {
            drop(ran.ok()?)
        } else {
            ran.fails(code, place)?
        };
        ensure!(hooked.exists() == (code == 0), "{place}");
        let _ = std::fs::remove_file(&hooked);
    }
    std::fs::write(specs.path().join("c.json"), "{")?;
    run(&["--device", "other.com/some=y"], "true")?.fails(125, "c.json")?;
    ensure!(run(&["--device", "vendor.com/thing=one"], "echo $ONE")?.ok()? == "1");
    ensure!(berth.docker(["info", "--format", "{{json .CDISpecDirs}}"])?.ok()?.contains(&directory));
    berth.finish()
}
