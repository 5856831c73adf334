//! Authorisation plugins: what they see, and that nothing passes that they have not allowed.

mod bodies;
mod plugin;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::peers::Docker;
use e2e::programs;
use e2e::registry::tls::Authority;
use plugin::{Plugin, Question, Reply};

/// A daemon that asks a plugin called `judge`, beside that.
fn judged(
    options: &[&str],
    rule: impl Fn(&Question) -> Reply + Send + Sync + 'static,
) -> Result<(tempfile::TempDir, Plugin, Berth)> {
    let dir = tempfile::Builder::new().prefix("berth-authz-").tempdir()?;
    let place = PathBuf::from("/run/docker/plugins");
    let name = name_of(&dir);
    let plugin = Plugin::start(&place, &name, rule)?;
    let berth = Berth::with_environment(&[], &[&["--authorization-plugin", &name], options].concat())?;
    plugin.take();
    Ok((dir, plugin, berth))
}

/// A name that no other test has.
fn name_of(dir: &tempfile::TempDir) -> String {
    dir.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[test]
fn a_plugin_that_allows_changes_nothing() -> Result<()> {
    let (_dir, plugin, berth) = judged(&[], |_| Reply::Allow)?;
    for client in ["docker", "berth"] {
        let run = |words: &[&str]| if client == "docker" { berth.docker(words) } else { berth.berth(words) };
        ensure!(run(&["run", "--rm", IMAGE, "echo", "hi"])?.ok()? == "hi");
        run(&["run", "-d", "--name", "xx", IMAGE, "sleep", "600"])?.ok()?;
        ensure!(run(&["exec", "xx", "echo", "there"])?.ok()? == "there");
        run(&["rm", "-f", "xx"])?.ok()?;
    }
    let seen = plugin.take();
    let exec = seen.iter().find(|question| {
        question.is_request() && question.line().ends_with("/start") && question.line().contains("/exec/")
    });
    let exec = exec.ok_or_else(|| anyhow::anyhow!("the start of an exec was not asked about"))?;
    ensure!(String::from_utf8_lossy(&exec.body()).contains("Detach"), "{exec:?}");
    // every request is asked about twice
    let (requests, answers): (Vec<_>, Vec<_>) = seen.iter().partition(|question| question.is_request());
    ensure!(requests.len() == answers.len(), "{} requests, {} answers", requests.len(), answers.len());
    berth.finish()
}

#[test]
fn refusals_and_failures_are_told_in_docker_s_words() -> Result<()> {
    let rule = |question: &Question| {
        if !question.is_request() {
            return match question.line().as_str() {
                "GET /images/json" => Reply::Deny("not this answer"),
                _ => Reply::Allow,
            };
        }
        match question.line().as_str() {
            "GET /containers/json" => Reply::Deny("nobody may look"),
            "GET /volumes" => Reply::Raw(500, r#"{"Err":"out of order"}"#),
            "GET /networks" => Reply::Raw(200, "{}"),
            "GET /system/df" => Reply::Raw(200, "nonsense"),
            "POST /containers/prune" => Reply::HangUp,
            "POST /networks/prune" => Reply::Silence,
            "POST /images/prune" => Reply::Raw(200, r#"{"Allow":true,"Err":"hm"}"#),
            _ => Reply::Allow,
        }
    };
    let (dir, plugin, berth) = judged(&[], rule)?;
    let name = name_of(&dir);
    let refused: [(&[&str], String); 8] = [
        (&["ps"], format!("authorization denied by plugin {name}: nobody may look")),
        (&["images"], format!("authorization denied by plugin {name}: not this answer")),
        (&["volume", "ls"], format!("plugin {name} failed with error: AuthZPlugin.AuthZReq: out of order")),
        (&["network", "ls"], format!("authorization denied by plugin {name}:")),
        (&["system", "df"], format!("plugin {name} failed with error: AuthZPlugin.AuthZReq: ")),
        (&["container", "prune", "-f"], format!("plugin {name} failed with error: AuthZPlugin.AuthZReq: ")),
        (
            &["network", "prune", "-f"],
            format!("plugin {name} failed with error: AuthZPlugin.AuthZReq: no answer within 10s"),
        ),
        (&["image", "prune", "-f"], format!("plugin {name} failed with error: hm")),
    ];
    for (words, sentence) in &refused {
        for ran in [berth.berth(*words)?, berth.docker(*words)?] {
            ran.fails(1, sentence)?;
        }
    }
    // one that is gone allows nothing
    plugin.die()?;
    berth
        .berth(["version"])?
        .fails(1, &format!("plugin {name} failed with error: AuthZPlugin.AuthZReq: cannot reach"))?;
    let again = Plugin::start(&PathBuf::from("/run/docker/plugins"), &name, |_| Reply::Allow)?;
    berth.berth(["version"])?.ok()?;
    berth.finish()?;
    drop(again);
    Ok(())
}

/// The connection of an attach or an exec is not given away before the plugin has allowed it.
#[test]
fn streams_are_judged_before_they_begin() -> Result<()> {
    let rule = |question: &Question| match question.line() {
        line if line.ends_with("/attach") && !question.is_request() => Reply::Deny("no attach"),
        line if line.contains("/exec/") && line.ends_with("/start") && question.is_request() => {
            Reply::Deny("no exec")
        }
        line if line.ends_with("/logs") && !question.is_request() => Reply::Deny("no logs"),
        line if line == "POST /grpc" => Reply::Deny("no build"),
        _ => Reply::Allow,
    };
    let (_dir, _plugin, berth) = judged(&[], rule)?;
    berth.berth(["run", "-d", "--name", "xx", IMAGE, "sh", "-c", "echo secret; exec sleep 600"])?.ok()?;
    berth.docker(["attach", "--no-stdin", "xx"])?.fails(1, "received 403")?;
    for client in ["docker", "berth"] {
        let run = |words: &[&str]| if client == "docker" { berth.docker(words) } else { berth.berth(words) };
        let ran = run(&["exec", "xx", "touch", "/been"])?;
        ensure!(
            ran.code != 0 && (ran.stderr.contains("no exec") || ran.stderr.contains("received 403")),
            "{ran:?}"
        );
        let ran = run(&["logs", "xx"])?;
        ensure!(ran.stderr.contains("no logs") && !ran.stdout.contains("secret"), "{ran:?}");
    }
    let build = berth.berth(["build", "-q", "/nonexistent"])?;
    ensure!(build.code != 0);
    let changes = berth.berth(["diff", "xx"])?.ok()?;
    ensure!(!changes.contains("/been"), "{changes}");
    berth.finish()
}

#[test]
fn plugins_come_and_go_by_a_reload() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let name = "later";
    let plugin =
        Plugin::start(&berth.root().join("exec/plugins"), name, |question| match question.line().as_str() {
            "GET /containers/json" => Reply::Deny("no"),
            _ => Reply::Allow,
        })?;
    let config = berth.root().join("daemon.json");
    let reload = |text: &str, words: &str| -> Result<()> {
        let before = berth.log().matches(words).count();
        std::fs::write(&config, text)?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(berth.pid()?)?)
            .ok_or_else(|| anyhow::anyhow!("pid"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::HUP)?;
        programs::eventually(words, || Ok((berth.log().matches(words).count() > before).then_some(())))
    };
    berth.berth(["ps"])?.ok()?;
    reload(r#"{"authorization-plugins": ["later"]}"#, "configuration reloaded")?;
    berth.berth(["ps"])?.fails(1, "authorization denied by plugin later: no")?;
    ensure!(berth.berth(["info", "-f", "{{.Plugins.Authorization}}"])?.ok()? == "[later]");
    // what can't be found takes nobody's place
    reload(r#"{"authorization-plugins": ["missing"]}"#, "configuration not reloaded")?;
    berth.berth(["ps"])?.fails(1, "authorization denied by plugin later: no")?;
    reload("{}", "configuration reloaded")?;
    berth.berth(["ps"])?.ok()?;
    drop(plugin);
    berth.finish()
}

#[test]
fn a_missing_plugin_is_named_at_the_start() -> Result<()> {
    let Err(error) = Berth::bare(&["--authorization-plugin", "no-such-plugin"]) else {
        anyhow::bail!("the daemon has started");
    };
    let text = format!("{error:#}");
    ensure!(
        text.contains("Error validating authorization plugin: plugin \"no-such-plugin\" not found"),
        "{text}"
    );
    Ok(())
}

/// The certificate's common name is the user, as with Docker.
#[test]
fn the_user_is_who_the_certificate_names() -> Result<()> {
    let authority = Authority::new()?;
    let server = authority.issue("server", "IP:127.0.0.1", 2)?;
    let client = authority.issue("alice", "DNS:alice", 2)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let text = |path: &std::path::Path| path.display().to_string();
    let host = format!("tcp://127.0.0.1:{port}");
    let (ca, cert, key) = (text(&authority.certificate()), text(&server.cert), text(&server.key));
    let tls = ["-H", &host, "--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
    let (_dir, plugin, berth) = judged(&tls, |_| Reply::Allow)?;
    let mut command = programs::command(&programs::program("berth")?, ["-H", &host, "--tlsverify", "ps"]);
    command.arg("-q").args(["--no-trunc"]);
    let mut command = programs::command(
        &programs::program("berth")?,
        [
            "-H",
            &host,
            "--tlsverify",
            "--tlscacert",
            &ca,
            "--tlscert",
            &text(&client.cert),
            "--tlskey",
            &text(&client.key),
            "ps",
        ],
    );
    programs::run(&mut command)?.ok()?;
    let seen = plugin.take();
    ensure!(
        seen.iter()
            .all(|question| question.text("User") == "alice" && question.text("UserAuthNMethod") == "TLS"),
        "{seen:?}"
    );
    ensure!(seen[0].message["RequestPeerCertificates"].as_array().is_some_and(|list| list.len() == 1));
    berth.berth(["ps"])?.ok()?;
    ensure!(plugin.take().iter().all(|question| question.text("User").is_empty()));
    berth.finish()
}

/// The same client, the same steps, a plugin beside each daemon: both see the same requests with the same bodies.
#[test]
fn docker_s_plugins_see_the_same() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("berth-authz-").tempdir()?;
    let name = name_of(&dir);
    let rule = |question: &Question| match question.line().as_str() {
        "GET /volumes" if question.is_request() => Reply::Deny("no volumes"),
        "GET /networks" if question.is_request() => Reply::Raw(500, r#"{"Err":"out of order"}"#),
        _ => Reply::Allow,
    };
    let place = PathBuf::from("/run/docker/plugins");
    let steps: [&[&str]; 6] = [
        &["version"],
        &["ps", "-a"],
        &["volume", "create", "--label", "a=b", "vol"],
        &["volume", "rm", "vol"],
        &["volume", "ls"],
        &["network", "ls"],
    ];
    let mut told = Vec::new();
    for engine in ["docker", "berth"] {
        let plugin = Plugin::start(&place, &name, rule)?;
        let option = ["--authorization-plugin", &name];
        let mut said = Vec::new();
        if engine == "docker" {
            let docker = Docker::start(&[Docker::NO_NETWORK, &option[..]].concat())?;
            plugin.take();
            for step in steps {
                let ran = docker.run(step)?;
                said.push((ran.code, ran.stderr));
            }
            told.push((plugin.take(), said));
            docker.stop()?;
        } else {
            let berth = Berth::bare(&option)?;
            plugin.take();
            for step in steps {
                let mut command = programs::command(std::path::Path::new("/usr/bin/docker"), step);
                let ran = programs::run(command.env("DOCKER_HOST", berth.host()))?;
                said.push((ran.code, ran.stderr));
            }
            told.push((plugin.take(), said));
            berth.finish()?;
        }
        drop(plugin);
    }
    let shape = |questions: &[Question]| -> Vec<String> {
        questions
            .iter()
            .map(|question| {
                let names: Vec<&String> =
                    question.message.as_object().map(|all| all.keys().collect()).unwrap_or_default();
                let names: Vec<&&String> = names
                    .iter()
                    .filter(|name| name.as_str() != "ResponseBody")
                    // Docker says no status where its handler has set none
                    .filter(|name| {
                        name.as_str() != "ResponseStatusCode" || !question.line().starts_with("HEAD")
                    })
                    .collect();
                format!(
                    "{} {} {names:?} {}",
                    question.method,
                    question.line(),
                    String::from_utf8_lossy(&question.body())
                )
            })
            .collect()
    };
    let (docker, berth) = (shape(&told[0].0), shape(&told[1].0));
    ensure!(docker == berth, "docker: {docker:#?}\nberth: {berth:#?}");
    ensure!(told[0].1 == told[1].1, "docker: {:#?}\nberth: {:#?}", told[0].1, told[1].1);
    Ok(())
}
