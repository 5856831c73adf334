//! Contexts, made by one client and read by the other, in both directions and to the byte.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::Berth;
use e2e::programs;
use e2e::registry::tls::Authority;

struct Clients {
    root: tempfile::TempDir,
}

impl Clients {
    /// A client with a configuration directory: `docker` or `berth`.
    fn command(&self, name: &str, config: &str, words: &[&str]) -> Result<Command> {
        let program = if name == "docker" { programs::docker_client()? } else { programs::program("berth")? };
        let mut command = programs::command(&program, words);
        command.env("DOCKER_CONFIG", self.root.path().join(config)).current_dir(self.root.path());
        Ok(command)
    }

    fn ok(&self, name: &str, config: &str, words: &[&str]) -> Result<String> {
        programs::run(&mut self.command(name, config, words)?)?.ok()
    }
}

/// Every file below a directory: name, mode and content.
fn tree(dir: &Path) -> Result<Vec<(String, u32, Vec<u8>)>> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        let metadata = std::fs::metadata(&next)?;
        let name = next.strip_prefix(dir)?.display().to_string();
        if metadata.is_dir() {
            all.push((name, metadata.mode(), Vec::new()));
            for entry in std::fs::read_dir(&next)? {
                open.push(entry?.path());
            }
        } else {
            all.push((name, metadata.mode(), std::fs::read(&next)?));
        }
    }
    all.sort();
    Ok(all)
}

#[test]
fn both_clients_make_the_same_store_and_read_it() -> Result<()> {
    let clients = Clients { root: tempfile::tempdir()? };
    let authority = Authority::new()?;
    let pair = authority.issue("client", "DNS:client", 2)?;
    let far = format!(
        "host=tcp://192.0.2.1:2376,ca={},cert={},key={}",
        authority.certificate().display(),
        pair.cert.display(),
        pair.key.display()
    );
    let steps: [&[&str]; 6] = [
        &["context", "create", "far", "--description", "<far> & away", "--docker", &far],
        &["context", "create", "copy", "--from", "far"],
        &["context", "create", "over-ssh", "--docker", "host=ssh://me@far.test:22"],
        &["context", "create", "loose", "--docker", "skip-tls-verify=true,host=tcp://far.test:1"],
        &["context", "update", "loose", "--description", "new"],
        &["context", "use", "far"],
    ];
    for step in steps {
        ensure!(clients.ok("docker", "d", step)? == clients.ok("berth", "b", step)?);
    }
    let of = |config: &str| tree(&clients.root.path().join(config).join("contexts"));
    ensure!(of("d")? == of("b")?);
    // each reads what the other has made
    let asked: [&[&str]; 5] = [
        &["context", "show"],
        &["context", "ls", "--format", "{{.Name}} {{.Current}} {{.Description}} {{.DockerEndpoint}}"],
        &["context", "ls", "-q"],
        &["context", "inspect"],
        &["context", "inspect", "copy", "loose", "-f", "{{.Name}} {{.Endpoints.docker.Host}}"],
    ];
    for words in asked {
        for config in ["d", "b"] {
            let [docker, berth] = ["docker", "berth"].map(|name| clients.ok(name, config, words));
            let without_default = |text: String| {
                text.lines()
                    .filter(|line| !line.starts_with("default "))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let (docker, berth) = (without_default(docker?), without_default(berth?));
            ensure!(docker == berth, "{words:?}: {docker:?} {berth:?}");
        }
    }
    Ok(())
}

#[test]
fn archives_go_from_client_to_client() -> Result<()> {
    let clients = Clients { root: tempfile::tempdir()? };
    let authority = Authority::new()?;
    let far = format!("host=tcp://192.0.2.1:2376,ca={}", authority.certificate().display());
    for (from, to, file) in [("docker", "berth", "d.tar"), ("berth", "docker", "b.tar")] {
        clients.ok(from, from, &["context", "create", "far", "--docker", &far])?;
        clients.ok(from, from, &["context", "export", "far", file])?;
        clients.ok(to, from, &["context", "import", "near", file])?;
        let hosts = clients.ok(
            to,
            from,
            &["context", "inspect", "far", "near", "-f", "{{.Endpoints.docker.Host}} {{.TLSMaterial}}"],
        )?;
        let hosts: Vec<&str> = hosts.lines().collect();
        ensure!(hosts.len() == 2 && hosts[0] == hosts[1] && hosts[0].contains("ca.pem"), "{hosts:?}");
        programs::run(&mut clients.command(from, from, &["context", "export", "far", file])?)?
            .fails(1, "file exists")?;
    }
    Ok(())
}

#[test]
fn refusals() -> Result<()> {
    let clients = Clients { root: tempfile::tempdir()? };
    let refused: [(&[&str], &str); 9] = [
        (&["context", "create", "default"], "\"default\" is a reserved context name"),
        (&["context", "create", "a b"], "names are validated against regexp"),
        (&["context", "create", "xx", "--docker", "nonsense=1"], "unrecognized config key: nonsense"),
        (
            &["context", "create", "xx", "--docker", "ca=/no/such/file"],
            "open /no/such/file: no such file or directory",
        ),
        (
            &["context", "create", "xx", "--docker", "skip-tls-verify=perhaps"],
            "skip-tls-verify: parsing \"perhaps\": invalid syntax",
        ),
        (&["context", "create", "xx", "--from", "none"], "context \"none\": context not found"),
        (&["context", "use", "none"], "context \"none\": context not found"),
        (&["context", "rm", "none"], "context \"none\" does not exist"),
        (
            &["-c", "none", "ps"],
            "Failed to initialize: unable to resolve docker endpoint: context \"none\": context not found",
        ),
    ];
    for (words, sentence) in refused {
        for name in ["docker", "berth"] {
            programs::run(&mut clients.command(name, "c", words)?)?.fails(1, sentence)?;
        }
    }
    ensure!(!clients.root.path().join("c/contexts").exists(), "a refused context has left something");
    Ok(())
}

/// A context is used: by flag, by variable, and as the current one, over which an address in the environment goes.
#[test]
fn contexts_lead_to_their_daemons() -> Result<()> {
    let clients = Clients { root: tempfile::tempdir()? };
    let berth = Berth::bare(&["--label", "place=far"])?;
    clients.ok("berth", "c", &["context", "create", "far", "--docker", &format!("host={}", berth.host())])?;
    let label = ["info", "-f", "{{index .Labels 0}}"];
    ensure!(clients.ok("berth", "c", &[&["-c", "far"][..], &label].concat())? == "place=far");
    let mut by_variable = clients.command("berth", "c", &label)?;
    ensure!(programs::run(by_variable.env("DOCKER_CONTEXT", "far"))?.ok()? == "place=far");
    clients.ok("berth", "c", &["context", "use", "far"])?;
    ensure!(clients.ok("berth", "c", &label)? == "place=far");
    let mut overridden = clients.command("berth", "c", &label)?;
    programs::run(overridden.env("DOCKER_HOST", "unix:///no/such"))?.fails(1, "/no/such")?;
    programs::run(&mut clients.command("berth", "c", &["context", "rm", "far"])?)?.fails(1, "is in use")?;
    clients.ok("berth", "c", &["context", "rm", "-f", "far"])?;
    ensure!(clients.ok("berth", "c", &["context", "show"])? == "default");
    berth.finish()
}
