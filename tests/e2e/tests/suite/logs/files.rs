//! The files: by the byte as Docker's, of the stated size, and read from any place.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::programs::Ran;

/// Long lines, parts of lines, what JSON escapes, an empty line, and a line that never ends.
const SCRIPT: &str = "awk 'BEGIN { for (i = 0; i < 40000; i++) printf \"%c\", 97 + i % 26; printf \"\\n\"; \
    for (i = 0; i < 16384; i++) printf \"x\"; printf \"\\ntab\\tq\\\"b\\\\ <&> \\001\\n\\n\" }'; \
    printf '\\377\\342\\202 \\303\\251\\n'; printf end";

/// `text` with each time replaced; everything else counts.
fn timeless(text: &str) -> String {
    let is_time = |text: &str| {
        let pattern = b"0000-00-00T00:00:00.";
        text.len() > 20
            && text
                .bytes()
                .zip(pattern)
                .all(|(byte, &want)| if want == b'0' { byte.is_ascii_digit() } else { byte == want })
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        if is_time(rest) {
            out.push_str("TIME");
            rest = rest.split_once('Z').map_or("", |(_, after)| after);
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// Runs one command line.
type Engine<'a> = &'a dyn Fn(&[&str]) -> Result<Ran>;

#[test]
fn json_files_and_logs_are_dockers() -> Result<()> {
    let berth = Berth::start()?;
    let docker = Docker::start(Docker::NO_NETWORK)?;
    let archive = tempfile::NamedTempFile::new()?;
    Image::busybox()?.save(archive.path(), IMAGE)?;
    let archive = archive.path().to_str().context("the temporary folder's name is not UTF-8")?;
    docker.run(&["load", "-i", archive])?.ok()?;
    let engines: [Engine<'_>; 2] = [&|args| berth.berth(args), &|args| docker.run(args)];
    let about = ["--log-opt", "tag={{.Name}}/{{.ImageName}}/{{.DaemonName}} {{upper .Name}}", "--log-opt"];
    let about =
        about.into_iter().chain(["labels=team,none", "--log-opt", "env=X", "--log-opt", "env-regex=^Y"]);
    let about = about.chain(["--label", "team=blue", "-e", "X=a,b", "-e", "Y1=<é>"]);
    let about: Vec<&str> = about.collect();
    for (name, options) in [("plain", &[][..]), ("tty", &["-t"]), ("about", &about)] {
        let mut seen = Vec::new();
        for run in engines {
            let create =
                ["run", "-d", "--network", "none", "--name", name].into_iter().chain(options.iter().copied());
            let create: Vec<&str> = create.chain([IMAGE, "sh", "-c", SCRIPT]).collect();
            run(&create)?.ok()?;
            run(&["wait", name])?.ok()?;
            let path = run(&["inspect", "-f", "{{.LogPath}}", name])?.ok()?;
            let mut shown = vec![timeless(&std::fs::read_to_string(path)?)];
            for reading in [&["-t", "--details"][..], &["--tail", "2"], &["-n", "0"], &["-n", "5", "-t"]] {
                let ran = run(&[&["logs"], reading, &[name]].concat())?;
                shown.push(timeless(&ran.stdout));
                ensure!(ran.code == 0 && ran.stderr.is_empty(), "{ran:?}");
            }
            seen.push(shown);
        }
        for (ours, theirs) in seen[0].iter().zip(&seen[1]) {
            ensure!(ours == theirs, "{name}:\n{ours}\ninstead of\n{theirs}");
        }
    }
    docker.run(&["rm", "plain", "tty", "about"])?.ok()?;
    docker.stop()?;
    berth.finish()
}

/// The files of a container's log and their sizes, the current one first.
fn log_files(berth: &Berth, id: &str) -> Result<Vec<(PathBuf, u64)>> {
    let folder = berth.data_root().join("containers").join(id);
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".log")))
        .map(|path| Ok((path.clone(), path.metadata()?.len())))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

#[test]
fn rotation_holds_the_stated_size() -> Result<()> {
    let berth = Berth::start()?;
    // the default: 3 files of 10 MB
    let start = [
        "run",
        "-d",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "yes 0123456789012345678901234567890123456789 | head -n 300000",
    ];
    let id = berth.berth(start)?.ok()?;
    berth.berth(["wait", &id])?.ok()?;
    let files = log_files(&berth, &id)?;
    ensure!(files.len() == 3, "{files:?}");
    ensure!(files.iter().all(|(_, size)| *size <= 10_000_000 + 200), "{files:?}");
    ensure!(files[1..].iter().all(|(_, size)| *size > 9_900_000), "{files:?}");

    for (driver, options) in [("json-file", vec![]), ("local", vec!["--log-opt", "compress=false"])] {
        let limits = ["--log-opt", "max-size=100k", "--log-opt", "max-file=4"];
        let start = ["run", "-d", "--network", "none", "--log-driver", driver].into_iter().chain(limits);
        let start = start.chain(options).chain([IMAGE, "seq", "1", "50000"]);
        let id = berth.berth(start)?.ok()?;
        berth.berth(["wait", &id])?.ok()?;
        let files = log_files(&berth, &id)?;
        ensure!(files.len() == 4, "{files:?}");
        ensure!(files.iter().all(|(_, size)| *size <= 100_000 + 100), "{files:?}");
        // what is left is the end, without a gap
        let log = berth.berth(["logs", &id])?.ok()?;
        let numbers: Vec<u32> = log.lines().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(numbers.last() == Some(&50000) && numbers.len() > 2000, "{} lines", numbers.len());
        ensure!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap");
        for tail in [1, 10, 1500, numbers.len()] {
            let shown = berth.berth(["logs", "--tail", &tail.to_string(), &id])?.ok()?;
            ensure!(shown.lines().count() == tail && shown.ends_with("50000"), "{driver} --tail {tail}");
        }
    }
    berth.finish()
}

#[test]
fn the_daemon_has_defaults() -> Result<()> {
    let berth = Berth::bare(&[
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=1m",
        "--log-opt",
        "cache-disabled=true",
    ])?;
    berth.load(&Image::busybox()?, IMAGE)?;
    for (options, want) in [
        (&[][..], r#"{"Config":{"cache-disabled":"true","max-size":"1m"},"Type":"local"}"#),
        (&["--log-driver", "json-file"], r#"{"Config":{"cache-disabled":"true"},"Type":"json-file"}"#),
        (
            &["--log-opt", "max-file=2"],
            r#"{"Config":{"cache-disabled":"true","max-file":"2","max-size":"1m"},"Type":"local"}"#,
        ),
    ] {
        let run = ["run", "-d"].into_iter().chain(options.iter().copied()).chain([IMAGE, "echo", "hello"]);
        let id = berth.docker(run)?.ok()?;
        let shown = berth.docker(["inspect", "-f", "{{json .HostConfig.LogConfig}}", &id])?.ok()?;
        let (shown, want): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&shown)?, serde_json::from_str(want)?);
        ensure!(shown == want, "{shown} instead of {want}");
        berth.docker(["wait", &id])?.ok()?;
        ensure!(berth.docker(["logs", &id])?.ok()? == "hello");
    }
    ensure!(
        berth.docker(["info", "-f", "{{.LoggingDriver}} {{.Plugins.Log}}"])?.ok()?
            == "local [fluentd gelf journald json-file local syslog]"
    );
    berth.finish()
}

/// Sorted moments of five lines, a moment apart.
#[test]
fn since_until_and_follow_are_exact() -> Result<()> {
    let berth = Berth::start()?;
    for driver in ["json-file", "local"] {
        let script = "for n in 1 2 3 4 5; do echo $n; sleep 0.1; done; until [ -e /go ]; do sleep 0.02; done; printf last";
        let start = ["run", "-d", "--name", driver, "--log-driver", driver, IMAGE, "sh", "-c", script];
        berth.berth(start)?.ok()?;
        let mut follow = berth.docker_command(["logs", "-f", "--tail", "2", driver])?;
        let following = std::thread::spawn(move || e2e::programs::run(&mut follow));
        let lines = e2e::programs::eventually("all five lines are there", || {
            let log = berth.berth(["logs", "-t", driver])?.ok()?;
            Ok((log.lines().count() == 5).then_some(log))
        })?;
        let moments: Vec<&str> = lines.lines().filter_map(|line| line.split(' ').next()).collect();
        let shown = |options: &[&str]| -> Result<String> {
            Ok(berth.docker([&["logs"], options, &[driver]].concat())?.ok()?.replace('\n', ""))
        };
        ensure!(shown(&["--since", moments[2]])? == "345", "{lines}");
        ensure!(shown(&["--until", moments[2]])? == "123", "{lines}");
        ensure!(shown(&["--since", moments[1], "--until", moments[3]])? == "234", "{lines}");
        ensure!(shown(&["--since", moments[3], "--tail", "1"])? == "5", "{lines}");
        ensure!(shown(&["-f", "--until", moments[1]])? == "12", "{lines}");
        // in the background: the container may end before the session does
        berth.berth(["exec", "-d", driver, "touch", "/go"])?.ok()?;
        let followed = following.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        ensure!(followed.code == 0 && followed.stdout.ends_with("5\nlast"), "{followed:?}");
    }
    berth.finish()
}
