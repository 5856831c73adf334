//! Ansible's collection `community.docker`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::programs::{self, Ran};

const PLAYBOOK: &str = include_str!("playbook.yml");

fn play(berth: &Berth, variables: &[&str]) -> Result<Ran> {
    let python = programs::python()?;
    let playbook = berth.root().join("playbook.yml");
    std::fs::write(&playbook, PLAYBOOK)?;
    let mut command = Command::new(python.with_file_name("ansible-playbook"));
    command.args(["-i", "localhost,", "-c", "local"]).arg(&playbook);
    for variable in variables {
        command.args(["-e", variable]);
    }
    command.args(["-e", &format!("host={} image={IMAGE}", berth.host())]);
    command.arg("-e").arg(format!("ansible_python_interpreter={}", python.display()));
    let home = berth.root().join("home");
    command.env("HOME", &home).env("ANSIBLE_LOCALHOST_WARNING", "False").env("ANSIBLE_NOCOLOR", "1");
    command
        .env("ANSIBLE_LOCAL_TEMP", home.join("tmp"))
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_PIPELINING", "1");
    programs::run_with(&mut command, b"", 3 * programs::PATIENCE)
}

/// How many tasks changed something.
fn changed(ran: Ran) -> Result<u32> {
    let said = ran.ok()?;
    let count = said.split("changed=").nth(1).and_then(|rest| rest.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).with_context(|| said.clone())
}

#[test]
fn a_project_is_made_changed_and_taken_down() -> Result<()> {
    let berth = Berth::start()?;
    let id = |name: &str| berth.berth(["inspect", "-f", "{{.Id}}", name])?.ok();
    let ids = || -> Result<Vec<String>> { ["store", "app", "web"].iter().map(|name| id(name)).collect() };
    ensure!(
        changed(play(&berth, &["greeting=hello"])?)? == 5,
        "a volume, a network and three containers are made"
    );
    let first = ids()?;
    super::compose::serves(&berth.berth(["port", "web", "80"])?.ok()?)?;
    ensure!(changed(play(&berth, &["greeting=hello"])?)? == 0, "nothing is left to change");
    ensure!(ids()? == first);
    ensure!(changed(play(&berth, &["greeting=bonjour"])?)? == 1, "one container is made anew");
    let second = ids()?;
    ensure!(second[0] == first[0] && second[1] != first[1] && second[2] == first[2]);
    ensure!(berth.berth(["exec", "app", "sh", "-c", "echo $GREETING"])?.ok()? == "bonjour");
    ensure!(changed(play(&berth, &["greeting=bonjour", "state=absent"])?)? >= 5);
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty(), "containers are left");
    ensure!(berth.berth(["volume", "ls", "-q"])?.ok()?.is_empty(), "volumes are left");
    ensure!(berth.berth(["network", "ls", "-q", "-f", "type=custom"])?.ok()?.is_empty());
    berth.finish()
}
