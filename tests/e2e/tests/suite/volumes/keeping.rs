//! What stays, what goes, and what is told.

use super::{IMAGE, run, start};
use anyhow::{Result, ensure};

#[test]
fn the_image_fills_a_new_volume_once() -> Result<()> {
    let berth = start()?;
    let list = "stat -c '%a %n' /data /data/file /data/sub /data/sub/deep; cat /data/link";
    let expected = "750 /data\n640 /data/file\n711 /data/sub\n600 /data/sub/deep\ndeep";
    for options in [&["-v", "kept:/data"][..], &["-v", "/data"][..], &[][..]] {
        let seen = berth.docker(run(options, list))?.ok()?;
        ensure!(seen == expected, "{options:?}: {seen}");
    }
    berth.docker(run(&["-v", "kept:/data"], "rm -r /data/sub; echo mine > /data/file"))?.ok()?;
    ensure!(berth.berth(run(&["-v", "kept:/data"], "cat /data/file"))?.ok()? == "mine");
    ensure!(berth.berth(run(&["-v", "bare:/data:nocopy"], "ls /data"))?.ok()?.is_empty());
    let mount = "type=volume,src=bare2,dst=/data,volume-nocopy";
    ensure!(berth.docker(run(&["--mount", mount], "ls /data"))?.ok()?.is_empty());
    // what was anonymous went with its container, what has a name stays
    let names = berth.docker(["volume", "ls", "-q"])?.ok()?;
    ensure!(names == "bare\nbare2\nkept", "{names}");
    berth.finish()
}

#[test]
fn volumes_outlive_everything_that_does_not_ask_for_them() -> Result<()> {
    let mut berth = start()?;
    berth.docker(["create", "--name", "one", "-v", "named:/n", "-v", "/anon", IMAGE, "true"])?.ok()?;
    let ids = berth.docker(["volume", "ls", "-q", "--filter", "label=com.docker.volume.anonymous"])?.ok()?;
    ensure!(ids.lines().count() == 2, "{ids}");
    berth.kill()?;
    berth.spawn()?;
    let id = berth.docker(["inspect", "-f", "{{.Id}}", "one"])?.ok()?;
    let words = format!("remove named: volume is in use - [{id}]");
    berth.docker(["volume", "rm", "named"])?.fails(1, &words)?;
    berth.berth(["volume", "rm", "-f", "named"])?.fails(1, &words)?;
    berth.docker(["rm", "one"])?.ok()?;
    ensure!(berth.docker(["volume", "ls", "-q"])?.ok()?.lines().count() == 3);
    berth.docker(["create", "--name", "two", "-v", "named:/n", "-v", "/anon", IMAGE, "true"])?.ok()?;
    berth.docker(["create", "--name", "three", "--volumes-from", "two", IMAGE, "true"])?.ok()?;
    berth.docker(["rm", "-v", "two"])?.ok()?;
    ensure!(berth.docker(["volume", "ls", "-q"])?.ok()?.lines().count() == 5, "another container has them");
    berth.docker(["rm", "-v", "three"])?.ok()?;
    let dangling = berth.docker(["volume", "ls", "-q", "-f", "dangling=true"])?.ok()?;
    ensure!(dangling.lines().count() == 3, "{dangling}");
    let told = berth.berth(["volume", "prune", "--dry-run"])?.ok()?;
    ensure!(ids.lines().all(|id| told.contains(id)) && !told.contains("named"), "{told}");
    ensure!(berth.docker(["volume", "ls", "-q"])?.ok()?.lines().count() == 3, "a dry run removed something");
    let gone = berth.docker(["volume", "prune", "-f"])?.ok()?;
    ensure!(ids.lines().all(|id| gone.contains(id)) && gone.contains("Total reclaimed space"), "{gone}");
    ensure!(berth.docker(["volume", "ls", "-q"])?.ok()? == "named");
    ensure!(berth.docker(["volume", "prune", "-a", "-f"])?.ok()?.starts_with("Deleted Volumes:\nnamed\n"));
    let left = std::fs::read_dir(berth.data_root().join("volumes"))?.count();
    ensure!(left == 0, "{left} directories are left");
    berth.finish()
}

#[test]
fn what_is_protected_stays() -> Result<()> {
    let mut berth = start()?;
    berth.berth(["volume", "create", "safe"])?.ok()?;
    ensure!(berth.berth(["volume", "protect", "safe"])?.ok()? == "safe");
    berth.docker(["create", "--name", "one", IMAGE, "true"])?.ok()?;
    let anonymous = berth.docker(["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", "one"])?.ok()?;
    berth.berth(["volume", "protect", &anonymous])?.ok()?;
    berth.docker(["rm", "-v", "one"])?.ok()?;
    berth.kill()?;
    berth.spawn()?;
    let words = "volume is protected";
    berth.docker(["volume", "rm", "safe"])?.fails(1, words)?;
    berth.docker(["volume", "rm", "-f", "safe"])?.fails(1, words)?;
    berth.docker(["volume", "prune", "-af"])?.ok()?;
    berth.docker(["system", "prune", "-af", "--volumes"])?.ok()?;
    let table = berth.berth(["volume", "ls"])?.ok()?;
    ensure!(table.starts_with("DRIVER    VOLUME NAME") && table.contains("PROTECTED"), "{table}");
    ensure!(
        table.lines().count() == 3 && table.lines().skip(1).all(|line| line.ends_with("true")),
        "{table}"
    );
    let listed = berth.berth(["volume", "ls", "-q", "--filter", "protected=true"])?.ok()?;
    ensure!(listed.lines().count() == 2, "{listed}");
    ensure!(berth.berth(["volume", "inspect", "-f", "{{.Protected}}", "safe"])?.ok()? == "true");
    berth.berth(["volume", "unprotect", "safe", &anonymous])?.ok()?;
    ensure!(!berth.berth(["volume", "ls"])?.ok()?.contains("PROTECTED"));
    berth.docker(["volume", "rm", "safe", &anonymous])?.ok()?;
    berth.berth(["volume", "protect", "safe"])?.fails(1, "no such volume")?;
    berth.finish()
}

#[test]
fn events_of_volumes() -> Result<()> {
    let berth = start()?;
    berth.docker(["volume", "create", "v1"])?.ok()?;
    berth
        .docker(["run", "--rm", "--network", "none", "--name", "cc", "-v", "v1:/data:ro", IMAGE, "true"])?
        .ok()?;
    berth.docker(["volume", "rm", "v1"])?.ok()?;
    berth.docker(["volume", "create", "v2"])?.ok()?;
    berth.docker(["volume", "prune", "-af"])?.ok()?;
    let format = "{{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}}";
    let until = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() + 1;
    let until = until.to_string();
    let words = ["events", "--since", "0", "--until", &until, "--filter", "type=volume", "--format", format];
    let told = berth.docker(words)?.ok()?;
    let lines: Vec<&str> = told.lines().collect();
    let expected = ["create v1", "mount v1", "unmount v1", "destroy v1", "create v2", "prune "];
    ensure!(lines.len() == expected.len(), "{told}");
    for (line, start) in lines.iter().zip(expected) {
        ensure!(line.starts_with(start), "{line} instead of {start}");
    }
    for part in [
        "\"driver\":\"local\"",
        "\"destination\":\"/data\"",
        "\"read/write\":\"false\"",
        "\"propagation\":\"\"",
        "\"container\":\"",
    ] {
        ensure!(lines[1].contains(part), "{} lacks {part}", lines[1]);
    }
    ensure!(lines[5].ends_with("{\"reclaimed\":\"0\"}"), "{}", lines[5]);
    berth.finish()
}
