//! Registries that want to know who asks.

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::programs;
use e2e::registry::{Access, Kind, PASSWORD, Packing, Registry, Style, USER, Wants};

use super::picture;

/// Over TLS with a private authority, with a password or with tokens, by both command lines.
#[test]
fn whoever_logs_in_pulls_and_pushes() -> Result<()> {
    for (access, tls) in [(Access::Password, false), (Access::Password, true), (Access::Token, false)] {
        let mut registry = Registry::with(Kind::Debian, Wants { access, tls, ..Wants::default() })?;
        let picture = picture(Style::Docker, &[Packing::Gzip], &[3_000])?;
        picture.push(&registry.probe_of("private/image")?, "private/image", "1")?;
        let site = registry.site().clone();
        let (name, address) = (site.name("private/image:1"), site.address.as_str());
        // the folder is called as the registry's address
        let certificates = site.certificates.as_ref().and_then(|folder| folder.parent());
        let certificates = certificates.unwrap_or(registry.root()).display().to_string();
        let berth = Berth::with_environment(&[("BERTH_CERTS_D", &certificates)], &[])?;
        let what = format!("{access:?} {tls}");
        let denied = "repository does not exist or may require 'docker login'";
        berth.berth(["pull", &name])?.fails(1, denied).context(what.clone())?;
        berth.berth(["login", "-u", USER, "-p", "wrong", address])?.fails(1, "").context(what.clone())?;
        for client in ["berth", "docker"] {
            let mut command = match client {
                "berth" => berth.berth_command(["login", "-u", USER, "-p", PASSWORD, address])?,
                _ => berth.docker_command(["login", "-u", USER, "-p", PASSWORD, address])?,
            };
            let said = programs::run(&mut command)?.ok().context(what.clone())?;
            ensure!(said == "Login Succeeded", "{said}");
            let config = std::fs::read_to_string(berth.root().join("client/config.json"))?;
            ensure!(config.contains(address) && config.contains("\"auth\""), "{config}");
            let mut command = match client {
                "berth" => berth.berth_command(["pull", &name])?,
                _ => berth.docker_command(["pull", &name])?,
            };
            programs::run(&mut command)?.ok().context(what.clone())?;
            let target = site.name(&format!("private/{client}:2"));
            berth.berth(["tag", &name, &target])?.ok()?;
            let mut command = match client {
                "berth" => berth.berth_command(["push", &target])?,
                _ => berth.docker_command(["push", &target])?,
            };
            programs::run(&mut command)?.ok().context(what.clone())?;
            berth.berth(["rmi", "-f", &name, &target])?.ok()?;
            berth.berth(["logout", address])?.ok()?;
            berth.berth(["pull", &name])?.fails(1, denied).context(what.clone())?;
        }
        registry.terminate()?;
        berth.finish()?;
    }
    Ok(())
}

/// A helper is asked for the login of its registry, by `run`'s pull as well.
#[test]
fn a_credential_helper_is_asked() -> Result<()> {
    const HELPER: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nread -r line\necho \"$1 $line\" >> log\n\
        case $1 in get) cat secret 2>/dev/null || { echo credentials not found in native keychain; exit 1; };;\n\
        store) echo \"$line\" > secret;; erase) rm -f secret;; esac\n";
    let mut registry = Registry::with(Kind::Debian, Wants { access: Access::Password, ..Wants::default() })?;
    picture(Style::Docker, &[Packing::Gzip], &[10])?.push(&registry.probe_of("h/i")?, "h/i", "latest")?;
    let berth = Berth::bare(&[])?;
    let (address, name) = (registry.site().address.clone(), registry.site().name("h/i"));
    let (bin, client) = (berth.root().join("bin"), berth.root().join("client"));
    std::fs::create_dir_all(&bin)?;
    std::fs::create_dir_all(&client)?;
    let helper = bin.join("docker-credential-test");
    std::fs::write(&helper, HELPER)?;
    std::os::unix::fs::chown(&helper, Some(0), Some(0))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, mode)?;
    let config = format!("{{\"credHelpers\": {{\"{address}\": \"test\"}}, \"other\": true}}");
    std::fs::write(client.join("config.json"), config)?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let run = |args: &[&str]| programs::run(berth.berth_command(args)?.env("PATH", &path));
    run(&["run", "--rm", &name, "true"])?.fails(125, "may require 'docker login'")?;
    run(&["login", "-u", USER, "-p", PASSWORD, &address])?.ok()?;
    let config = std::fs::read_to_string(client.join("config.json"))?;
    ensure!(!config.contains("\"auth\"") && config.contains("\"other\": true"), "{config}");
    ensure!(run(&["run", "--rm", &name, "echo", "hi"])?.ok()? == "hi");
    run(&["logout", &address])?.ok()?;
    run(&["pull", &name])?.fails(1, "may require 'docker login'")?;
    let log = std::fs::read_to_string(bin.join("log"))?;
    ensure!(log.contains(&format!("erase {address}")) && log.contains(&format!("get {address}")), "{log}");
    registry.terminate()?;
    berth.finish()
}
