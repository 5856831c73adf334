//! `prune` and its rehearsal, and `system df`: what is told is what the disk gives back.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{http, programs};
use serde_json::Value;

/// Bytes of blocks below a directory, as `du` counts: what a thread removes meanwhile it says is gone, and sums the rest.
fn du(path: &Path) -> Result<i64> {
    let text = programs::run(Command::new("du").args(["-s", "--block-size=1"]).arg(path))?.stdout;
    Ok(text.split_whitespace().next().context("du says nothing")?.parse()?)
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn names(berth: &Berth) -> Result<Vec<String>> {
    let shown = berth.berth(["ps", "-a", "--format", "{{.Names}}"])?.ok()?;
    let mut names: Vec<String> = shown.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

#[test]
fn containers_at_rest_go_by_their_filters() -> Result<()> {
    let berth = Berth::start()?;
    let script = "dd if=/dev/zero of=/file bs=1M count=2 2>/dev/null; echo said";
    berth.berth(["run", "--name", "ended", "--label", "kind=a", IMAGE, "sh", "-c", script])?.ok()?;
    berth.berth(["create", "--name", "made", "--label", "kind=b", IMAGE, "true"])?.ok()?;
    berth.berth(["run", "-d", "--name", "runs", "--label", "kind=a", IMAGE, "sleep", "1000"])?.ok()?;
    let prune = |more: &[&str]| berth.berth(["container", "prune", "-f"].iter().chain(more))?.ok();
    for keeps_all in ["label=kind=c", "label=nothing", "until=1h", "until=2020-01-01", "label!=kind"] {
        ensure!(prune(&["--filter", keeps_all])? == "Total reclaimed space: 0B", "{keeps_all}");
    }
    ensure!(names(&berth)? == ["ended", "made", "runs"]);
    for (filters, words) in [
        (&["--filter", "until=1h", "--filter", "until=2h"][..], "more than one until filter specified"),
        (&["--filter", "until=soon"], "failed to parse value as time or duration: \"soon\""),
        (&["--filter", "colour=red"], "invalid filter 'colour'"),
    ] {
        berth.berth(["container", "prune", "-f"].iter().chain(filters))?.fails(1, words)?;
    }
    // the rehearsal names them, and they stay
    let told = http::post(berth.root(), "/v1.55/containers/prune?dry-run=1")?;
    ensure!(told["ContainersDeleted"].as_array().is_some_and(|ids| ids.len() == 2), "{told}");
    ensure!((2 << 20..4 << 20).contains(&number(&told, "/SpaceReclaimed")), "{told}");
    let shown = berth.berth(["container", "prune", "--dry-run", "--filter", "label!=kind=b"])?.ok()?;
    ensure!(shown.starts_with("Would delete Containers:\n") && shown.lines().count() == 4, "{shown}");
    ensure!(names(&berth)? == ["ended", "made", "runs"]);
    // and then exactly they go
    let before = du(&berth.data_root())?;
    let gone = http::post(berth.root(), "/v1.55/containers/prune")?;
    ensure!(gone == told, "{gone} instead of {told}");
    ensure!(names(&berth)? == ["runs"]);
    programs::eventually("the space is free", || {
        Ok((du(&berth.data_root())? <= before - number(&gone, "/SpaceReclaimed")).then_some(()))
    })?;
    let events = ["events", "--since", "1h", "--until", "0s", "--filter", "event=prune"];
    let shown = berth.berth(events.iter().chain(&["--format", "{{.Type}} {{json .Actor}}"]))?.ok()?;
    let last = shown.lines().last().unwrap_or_default();
    let reclaimed = number(&gone, "/SpaceReclaimed");
    ensure!(
        last.starts_with("container ") && last.contains(&format!("\"reclaimed\":\"{reclaimed}\"")),
        "{shown}"
    );
    berth.finish()
}

#[test]
fn images_go_when_nothing_uses_them() -> Result<()> {
    let berth = Berth::start()?;
    let root = tempfile::NamedTempFile::new()?;
    let layer = |name: &str, content: &[u8], tag: &[&str]| -> Result<String> {
        let mut archive = tar::Builder::new(std::fs::File::create(root.path())?);
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, content)?;
        archive.finish()?;
        let path = root.path().to_str().context("path")?;
        berth.berth(["import", "-c", "LABEL from=test", path].iter().chain(tag))?.ok()
    };
    layer("dangling", &[1; 100_000], &[])?;
    layer("named", &[2; 200_000], &["named:1"])?;
    let images = || berth.berth(["images", "--format", "{{.Repository}}"])?.ok();
    // with a container that has ended: its image is used
    berth.berth(["run", "--name", "user", IMAGE, "true"])?.ok()?;
    let told = berth.berth(["image", "prune", "-a", "--dry-run"])?.ok()?;
    ensure!(told.contains("untagged: named:1") && told.matches("deleted: ").count() == 2, "{told}");
    ensure!(!told.contains("busybox"), "{told}");
    ensure!(images()?.lines().count() == 3);
    let gone = http::post(berth.root(), "/v1.55/images/prune")?;
    ensure!((100_000..140_000).contains(&number(&gone, "/SpaceReclaimed")), "{gone}");
    ensure!(images()?.lines().count() == 2);
    for keeps_all in ["until=1h", "label=no", "label!=from=test"] {
        let shown = berth.berth(["image", "prune", "-af", "--filter", keeps_all])?.ok()?;
        ensure!(shown == "Total reclaimed space: 0B", "{keeps_all}: {shown}");
    }
    let shown = berth.berth(["image", "prune", "-af", "--filter", "label=from=test"])?.ok()?;
    ensure!(shown.starts_with("Deleted Images:\nuntagged: named:1\ndeleted: sha256:"), "{shown}");
    ensure!(images()? == "berth-test/busybox");
    berth
        .berth(["image", "prune", "-f", "--filter", "dangling=x"])?
        .fails(1, "invalid filter 'dangling=[x]'")?;
    let cache = http::post(berth.root(), "/v1.55/build/prune")?;
    ensure!(cache["CachesDeleted"].is_null() && number(&cache, "/SpaceReclaimed") == 0, "{cache}");
    // once its container is gone, or would be
    let path = "/v1.55/images/prune?dry-run=1&filters=%7B%22dangling%22:%5B%22false%22%5D%7D";
    ensure!(http::post(berth.root(), path)?["ImagesDeleted"].is_null());
    let told = http::post(berth.root(), &format!("{path}&after-containers=%7B%7D"))?;
    ensure!(told["ImagesDeleted"][0]["Untagged"] == IMAGE, "{told}");
    berth.berth(["rm", "user"])?.ok()?;
    let gone = http::post(berth.root(), &path.replace("dry-run=1&", ""))?;
    ensure!(number(&gone, "/SpaceReclaimed") == number(&told, "/SpaceReclaimed"), "{gone} {told}");
    ensure!(images()?.is_empty());
    berth.finish()
}

/// All sums together are what `du` says, whatever lies there: short files, holes, hard links, logs, volumes.
#[test]
fn disk_usage_is_what_du_says() -> Result<()> {
    let berth = Berth::start()?;
    let script = "dd if=/dev/zero of=/full bs=1M count=3 2>/dev/null; ln /full /again; echo x > /v/short; \
                  dd if=/dev/zero of=/holes bs=1 count=1 seek=1G 2>/dev/null; \
                  n=0; while [ $n -lt 20000 ]; do echo line $n; n=$((n + 1)); done";
    let run = ["run", "--name", "wrote", "-v", "kept:/v", IMAGE, "sh", "-c", script];
    berth.berth(run)?.ok()?;
    berth.berth(["run", "-d", "--name", "runs", IMAGE, "sleep", "1000"])?.ok()?;
    berth.berth(["volume", "create", "idle"])?.ok()?;
    let usage = http::get(berth.root(), "/v1.55/system/df?verbose=1")?;
    ensure!(number(&usage, "/DataRoot/TotalSize") == du(&berth.data_root())?, "{usage}");
    let kinds = ["ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"];
    let sum: i64 = kinds.iter().map(|kind| number(&usage, &format!("/{kind}/TotalSize"))).sum();
    let beside = number(&usage, "/DataRoot/LogSize") + number(&usage, "/DataRoot/RecordSize");
    ensure!(sum + beside == number(&usage, "/DataRoot/TotalSize"), "{usage}");
    let container = |name: &str| -> Result<&Value> {
        let items = usage["ContainerUsage"]["Items"].as_array().context("no items")?;
        items.iter().find(|one| one["Names"][0] == format!("/{name}")).context("not there")
    };
    let (wrote, runs) = (container("wrote")?, container("runs")?);
    ensure!((3 << 20..(3 << 20) + 100_000).contains(&number(wrote, "/SizeRw")), "{wrote}");
    ensure!(number(wrote, "/SizeLogs") > 1 << 20 && runs.get("SizeLogs").is_none(), "{wrote} {runs}");
    ensure!(
        (number(&usage, "/ContainerUsage/ActiveCount"), number(&usage, "/ContainerUsage/TotalCount"))
            == (1, 2)
    );
    ensure!(number(&usage, "/ContainerUsage/Reclaimable") == number(wrote, "/SizeRw"), "{usage}");
    ensure!(
        (number(&usage, "/VolumeUsage/ActiveCount"), number(&usage, "/VolumeUsage/TotalSize")) == (1, 4096),
        "{usage}"
    );
    ensure!(number(&usage, "/ImageUsage/Reclaimable") == 0, "{usage}");
    // older clients get the lists, and add up themselves
    let old = http::get(berth.root(), "/v1.41/system/df")?;
    ensure!(
        old["LayersSize"] == usage["ImageUsage"]["TotalSize"] && old.get("ImageUsage").is_none(),
        "{old}"
    );
    ensure!(old["LayersSize"] == old["Images"][0]["Size"] && old["Images"][0]["SharedSize"] == 0, "{old}");
    ensure!(
        old["BuilderSize"] == 0 && old["Volumes"].as_array().is_some_and(|list| list.len() == 2),
        "{old}"
    );
    let only = http::get(berth.root(), "/v1.55/system/df?type=volume")?;
    ensure!(only.get("VolumeUsage").is_some() && only.get("ImageUsage").is_none(), "{only}");
    let refused = http::ask(berth.root(), "GET", "/v1.55/system/df?type=colour")?;
    ensure!(refused.status == 400 && refused.text()?.contains("unknown object type: colour"));
    shown(&berth)?;
    berth.berth(["rm", "-f", "wrote", "runs"])?.ok()?;
    berth.berth(["volume", "rm", "kept", "idle"])?.ok()?;
    berth.finish()
}

/// Both clients show the same four rows; ours adds what Docker never counted.
fn shown(berth: &Berth) -> Result<()> {
    let (ours, theirs) = (berth.berth(["system", "df"])?.ok()?, berth.docker(["system", "df"])?.ok()?);
    let cells = |text: &str, rows: usize| -> Vec<String> {
        text.lines().take(rows).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    ensure!(cells(&ours, 5) == cells(&theirs, 5), "{ours}\n{theirs}");
    ensure!(ours.contains("Container Logs") && ours.contains("Records"), "{ours}");
    let format =
        "{{range .Containers}}{{.Names}} {{.Size}};{{end}}{{range .Volumes}}{{.Name}} {{.Links}};{{end}}";
    let args = ["system", "df", "-v", "--format", format];
    let (ours, theirs) = (berth.berth(args)?.ok()?, berth.docker(args)?.ok()?);
    ensure!(ours == theirs && ours.contains("kept 1;"), "{ours}\n{theirs}");
    let verbose = berth.berth(["system", "df", "-v"])?.ok()?;
    for words in [
        "Images space usage:",
        "Containers space usage:",
        "LOGS",
        "Local Volumes space usage:",
        "Data root usage: ",
    ] {
        ensure!(verbose.contains(words), "{words}: {verbose}");
    }
    Ok(())
}

/// `system prune` goes through all kinds, on both clients; its rehearsal knows what follows from what.
#[test]
fn the_whole_system() -> Result<()> {
    let berth = Berth::start()?;
    let prepare = || -> Result<()> {
        berth.berth(["run", "--name", "ended", "-v", "/anonymous", IMAGE, "true"])?.ok()?;
        berth.berth(["network", "create", "unused"])?.ok()?;
        Ok(())
    };
    prepare()?;
    let told = berth.berth(["system", "prune", "-a", "--dry-run"])?.ok()?;
    for words in [
        "Would delete Containers:\n",
        "unused",
        "untagged: berth-test/busybox:latest",
        "Total reclaimable space: ",
    ] {
        ensure!(told.contains(words), "{words}: {told}");
    }
    ensure!(names(&berth)? == ["ended"] && berth.berth(["network", "inspect", "unused"])?.code == 0);
    let gone = berth.docker(["system", "prune", "-f", "--volumes"])?.ok()?;
    for words in [
        "Deleted Containers:\n",
        "Deleted Volumes:\n",
        "Deleted Networks:\nunused\n",
        "Total reclaimed space: ",
    ] {
        ensure!(gone.contains(words), "{words}: {gone}");
    }
    prepare()?;
    let gone = berth.berth(["system", "prune", "-af", "--volumes"])?.ok()?;
    for words in [
        "Deleted Containers:\n",
        "Deleted Volumes:\n",
        "Deleted Networks:\nunused\n",
        "Deleted Images:\nuntagged: ",
    ] {
        ensure!(gone.contains(words), "{words}: {gone}");
    }
    let words = "The \"until\" filter is not supported with \"--volumes\"";
    berth.berth(["system", "prune", "-f", "--volumes", "--filter", "until=1h"])?.fails(1, words)?;
    berth.finish()
}
