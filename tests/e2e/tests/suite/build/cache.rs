//! The build cache as its users see it: what it takes, what goes, and what stays within bounds.

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{http, programs};
use serde_json::Value;

use super::Context;

fn number(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or(-1)
}

/// `du` of the data root, in bytes.
fn du(berth: &Berth) -> Result<i64> {
    let mut command = std::process::Command::new("du");
    let told = programs::run(command.args(["-s", "-B1"]).arg(berth.data_root()))?.ok()?;
    told.split_whitespace().next().context("du")?.parse().context("du")
}

/// The records, when no build has any of them.
fn records(berth: &Berth) -> Result<Vec<Value>> {
    programs::eventually("no build uses the cache", || {
        let usage = http::get(berth.root(), "/v1.55/system/df?type=build-cache&verbose=1")?;
        let items = usage["BuildCacheUsage"]["Items"].as_array().cloned().unwrap_or_default();
        let idle = items.iter().all(|item| item["InUse"] == false);
        Ok(idle.then_some(items))
    })
}

fn size(records: &[Value]) -> i64 {
    let own = records.iter().filter(|record| record["Shared"] == false);
    own.map(|record| number(record, "/Size")).sum()
}

fn cached(said: &str) -> usize {
    said.lines().filter(|line| line.ends_with(" CACHED")).count()
}

/// Three steps of a megabyte each, of which only the last file's is in the image.
fn dockerfile() -> String {
    format!(
        "FROM {IMAGE} AS make\nRUN head -c 1000000 /dev/urandom > /one\nRUN head -c 1000000 /dev/urandom > /two; touch /else\n\
         FROM {IMAGE}\nCOPY --from=make /two /\n"
    )
}

#[test]
fn every_byte_is_counted_once_and_comes_free() -> Result<()> {
    let berth = Berth::start()?;
    let context = Context::new(&berth, "sums", &[("Dockerfile", &dockerfile())])?;
    let build = || -> Result<String> {
        let ran = context.own(&["--progress", "plain", "-t", "sums"])?;
        let said = ran.stderr.clone();
        ran.ok()?;
        Ok(said)
    };
    build()?;
    ensure!(cached(&build()?) == 3);
    let all = records(&berth)?;
    let steps: Vec<&Value> = all.iter().filter(|record| record["Type"] == "regular").collect();
    ensure!(steps.len() == 3, "{all:?}");
    ensure!(steps.iter().filter(|record| record["Shared"] == true).count() == 1, "{all:?}");
    ensure!(steps.iter().all(|record| number(record, "/UsageCount") == 1), "{all:?}");
    ensure!(size(&all) > 2_000_000 && size(&all) < 2_300_000, "{all:?}");
    let usage = http::get(berth.root(), "/v1.55/system/df?verbose=1")?;
    ensure!(number(&usage, "/BuildCacheUsage/TotalSize") == size(&all), "{usage}");
    ensure!(number(&usage, "/BuildCacheUsage/Reclaimable") == size(&all), "{usage}");
    ensure!(number(&usage, "/DataRoot/TotalSize") == du(&berth)?, "{usage}");
    // as clients show it
    let shown = berth.docker(["system", "df"])?.ok()?;
    let line = shown.lines().find(|line| line.starts_with("Build Cache")).context("no line")?;
    ensure!(line.split_whitespace().nth(2) == Some(all.len().to_string().as_str()), "{shown}");
    let shown = berth.docker(["system", "df", "-v"])?.ok()?;
    ensure!(shown.contains("Build cache usage: 2.") && shown.matches(" regular ").count() == 3, "{shown}");
    let shown = berth.berth(["builder", "du"])?.ok()?;
    ensure!(shown.contains("Shared:") && shown.contains("Total:          2."), "{shown}");
    let unused =
        |filter: &str| berth.berth(["builder", "du", "--filter", filter, "--format", "{{.ID}}"])?.ok();
    ensure!(unused("until=1h")?.is_empty() && !unused("unused-for=1ns")?.is_empty());
    let shown = berth.berth(["builder", "du", "--filter", "shared=true", "--format", "{{.ID}}"])?.ok()?;
    ensure!(shown.lines().count() == 1, "{shown}");
    // what an image has stays, and so does what it came from
    let told = berth.berth(["builder", "prune", "--dry-run"])?.ok()?;
    ensure!(told.contains("Would delete build cache objects"), "{told}");
    ensure!(records(&berth)?.len() == all.len());
    let before = du(&berth)?;
    let gone = berth.docker(["builder", "prune", "-f"])?.ok()?;
    ensure!(gone.contains("Total:\t2.0") || gone.contains("Total reclaimed space: 2.0"), "{gone}");
    programs::eventually("the layers are gone", || Ok((before - du(&berth)? > 2_000_000).then_some(())))?;
    ensure!(berth.docker(["run", "--rm", "sums", "wc", "-c", "/two"])?.ok()? == "1000000 /two");
    let left = records(&berth)?;
    ensure!(left.len() == 1 && left[0]["Shared"] == true, "{left:?}");
    berth.docker(["builder", "prune", "-af"])?.ok()?;
    ensure!(records(&berth)?.is_empty());
    ensure!(cached(&build()?) == 0);
    berth.finish()
}

#[test]
fn filters_and_bounds_of_a_prune() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = |name: &str| format!("FROM {IMAGE}\nRUN head -c 1000000 /dev/urandom > /{name}\n");
    let build = |name: &str| -> Result<()> {
        let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile(name))])?;
        let out = format!("type=local,dest={}", berth.root().join("out").display());
        context.own(&["-o", &out])?.ok()?;
        Ok(())
    };
    ["first", "second", "third"].iter().try_for_each(|name| build(name))?;
    let post = |query: &str| http::post(berth.root(), &format!("/v1.55/build/prune?{query}"));
    let filtered = |filters: &str| post(&format!("filters={}", filters.replace('"', "%22")));
    ensure!(records(&berth)?.iter().filter(|record| record["Type"] == "regular").count() == 3);
    for nothing in
        ["{\"until\":[\"1h\"]}", "{\"type\":[\"frontend\"]}", "{\"id\":[\"xyz\"]}", "{\"label\":[\"a\"]}"]
    {
        let gone = filtered(nothing)?;
        ensure!(
            gone["CachesDeleted"].is_null() && number(&gone, "/SpaceReclaimed") == 0,
            "{nothing}: {gone}"
        );
    }
    for (wrong, why) in [
        ("filters={\"colour\":[\"red\"]}", "colour"),
        ("filters={\"id\":[\"a\",\"b\"]}", "more than one value"),
        ("filters={\"until\":[\"never\"]}", "never"),
        ("filters={\"id\":[\"(\"]}", "invalid filter"),
        ("keep-storage=-1", "keep-storage"),
        ("max-used-space=x", "max-used-space"),
    ] {
        let path = format!("/v1.55/build/prune?{}", wrong.replace('"', "%22"));
        let answer = http::ask(berth.root(), "POST", &path)?;
        let (status, text) = (answer.status, answer.text()?);
        ensure!(status == 400 && text.contains(why), "{wrong}: {status} {text}");
    }
    let one = records(&berth)?.iter().find(|record| record["Type"] == "regular").cloned().context("none")?;
    let id = one["ID"].as_str().context("no id")?;
    let gone = filtered(&format!("{{\"id\":[\"^{id}$\"]}}"))?;
    ensure!(gone["CachesDeleted"] == serde_json::json!([id]), "{gone}");
    // the one that was used last stays
    let gone = post("keep-storage=1500000&filters={%22type%22:[%22regular%22]}")?;
    ensure!(gone["CachesDeleted"].as_array().is_some_and(|all| all.len() == 1), "{gone}");
    ensure!((1_000_000..1_200_000).contains(&number(&gone, "/SpaceReclaimed")), "{gone}");
    let left = records(&berth)?;
    ensure!(
        left.iter().any(|record| record["Description"].as_str().is_some_and(|text| text.contains("/third")))
    );
    let gone = berth.docker(["system", "prune", "-af"])?.ok()?;
    ensure!(gone.contains("Deleted build cache objects"), "{gone}");
    ensure!(records(&berth)?.is_empty());
    berth.finish()
}

#[test]
fn the_cache_stays_within_the_bounds_of_daemon_json_and_outlives_the_daemon() -> Result<()> {
    let mut berth = Berth::bare(&[])?;
    berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
    let build = |berth: &Berth, name: &str| -> Result<()> {
        let dockerfile = format!("FROM {IMAGE}\nRUN head -c 1000000 /dev/urandom > /{name}\n");
        let context = Context::new(berth, name, &[("Dockerfile", &dockerfile)])?;
        let out = format!("type=local,dest={}", berth.root().join("out").display());
        context.own(&["-o", &out])?.ok()?;
        Ok(())
    };
    ["a", "b", "c"].iter().try_for_each(|name| build(&berth, name))?;
    let described = |berth: &Berth| -> Result<Vec<String>> {
        let all = records(berth)?;
        let regular = all.iter().filter(|record| record["Type"] == "regular");
        let mut names: Vec<String> = regular
            .filter_map(|record| Some(record["Description"].as_str()?.rsplit('/').next()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    };
    ensure!(described(&berth)? == ["a", "b", "c"]);
    berth.kill()?;
    berth.spawn()?;
    ensure!(described(&berth)? == ["a", "b", "c"], "a killed daemon's successor has lost its cache");
    berth.terminate()?;
    let file = berth.root().join("daemon.json");
    let policy =
        r#"{"builder": {"gc": {"policy": [{"maxUsedSpace": "2500KB", "filter": ["type=regular"]}]}}}"#;
    std::fs::write(&file, policy)?;
    berth.spawn()?;
    let becomes = |wanted: &[&str]| {
        let done = programs::eventually("the cache is within its bounds", || {
            Ok((described(&berth)? == wanted).then_some(()))
        });
        done.with_context(|| format!("{wanted:?}: {:?}\n{}", records(&berth), berth.log()))
    };
    becomes(&["b", "c"])?;
    build(&berth, "d")?;
    becomes(&["c", "d"])?;
    berth.finish()
}

#[test]
fn the_history_outlives_the_daemon() -> Result<()> {
    let mut berth = Berth::start()?;
    let good = format!("FROM {IMAGE}\nRUN echo these words\n");
    Context::new(&berth, "good", &[("Dockerfile", &good)])?.own(&["-t", "good"])?.ok()?;
    let bad = format!("FROM {IMAGE}\nRUN echo other words; exit 3\n");
    Context::new(&berth, "bad", &[("Dockerfile", &bad)])?.own(&[])?.fails(1, "exit code: 3")?;
    let check = |berth: &Berth| -> Result<Vec<String>> {
        let shown = berth.berth(["builder", "history"])?.ok()?;
        ensure!(shown.contains("Completed") && shown.contains("Error"), "{shown}");
        let names = berth.berth(["builder", "history", "ls", "-q"])?.ok()?;
        let names: Vec<String> = names.lines().map(str::to_owned).collect();
        ensure!(names.len() == 2, "{names:?}");
        let told = berth.berth(["builder", "history", "inspect", &names[1]])?.ok()?;
        ensure!(told.contains("exit code: 3") && told.contains(&names[1]), "{told}");
        for (name, words) in [(&names[0], "these words"), (&names[1], "other words")] {
            let ran = berth.berth(["builder", "history", "logs", name])?;
            let said = format!("{}{}", ran.stdout, ran.stderr);
            ensure!(ran.code == 0 && said.contains(words), "{said}");
        }
        Ok(names)
    };
    let names = check(&berth)?;
    let history = |words: &[&str]| berth.berth([&["builder", "history"], words].concat());
    for (words, wanted) in [
        (&["ls", "-q", "--filter", "status=error"][..], names[1].as_str()),
        (&["ls", "-q", "--filter", "status!=error", "--filter", "duration<1h"], names[0].as_str()),
        (&["ls", "--filter", "startedAt<1h", "--format", "{{.Ref}}"], ""),
        (
            &["ls", "--format", "{{.Ref}} {{.Status}} {{.Name}}", "--filter", "startedAt>1h"],
            &format!("{} Error Dockerfile\n{} Completed Dockerfile", names[1], names[0]),
        ),
        (&["inspect", "^1", "--format", "{{.Ref}}"], &names[0]),
    ] {
        let told = history(words)?.ok()?;
        ensure!(told == wanted, "{words:?}: {told}");
    }
    history(&["ls", "--filter", "colour=red"])?.fails(1, "there is no such field")?;
    history(&["rm", "^2"])?.fails(1, "no build ^2")?;
    history(&["rm", "^0", "--format", "json"])?.fails(1, "--format is none of its options")?;
    history(&["open"])?.fails(1, "not supported")?;
    berth.kill()?;
    berth.spawn()?;
    ensure!(check(&berth)? == names);
    // the last one, and one by its first digits
    let told = berth.berth(["builder", "history", "inspect"])?.ok()?;
    ensure!(told.contains(&names[1]), "{told}");
    berth.berth(["builder", "history", "rm", &names[0]])?.ok()?;
    berth.terminate()?;
    berth.spawn()?;
    ensure!(berth.berth(["builder", "history", "ls", "-q"])?.ok()? == names[1]);
    berth.berth(["builder", "history", "logs", &names[0]])?.fails(1, "not in the history")?;
    ensure!(super::found_below(&berth.data_root().join("build/history"), b"these words")?.is_none());
    berth.finish()
}
