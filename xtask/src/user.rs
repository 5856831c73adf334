//! `cargo xtask user`: the end-to-end tests on daemons of an ordinary user. He is made for the run, in a mount namespace
//! with a list of users of its own; nobody on the machine has his number.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::test::{self, Needs};
use crate::vm::Program;
use crate::{run, vm};

/// Tests that do not hold for him: one in a line, with when and why.
const EXCEPTIONS: &str = "tests/e2e/tests/user.txt";
/// Modules that are run if none is named.
pub(crate) const SHORT: &[&str] = &[
    "bad_input::",
    "changes::",
    "events::",
    "files::",
    "images::",
    "init::",
    "lifecycle::",
    "networks::",
    "prune::",
    "survival::",
    "terminal::",
    "volumes::",
];
/// His number, and the first of his subordinate ones.
const USER: [&str; 2] = ["1000000000", "1200000000"];
/// Words: a folder, that of the programs, the two numbers, and the command to be run.
const SETUP: &str = r#"set -e
from=$PWD; cd "$1"; mkdir etc bin dev; chmod 755 .
cp /etc/passwd etc/passwd; echo "tester:x:$3:$3::$1:/bin/sh" >> etc/passwd
echo "tester:$4:65536" > etc/subuid; cp etc/subuid etc/subgid
mount --make-rprivate /
for f in passwd subuid subgid; do mount --bind etc/$f /etc/$f; done
mount --bind "$2" bin
mount -t tmpfs none dev; mknod -m 666 dev/tun c 10 200; mount --bind dev/tun /dev/net/tun
# what is mounted from here on is seen by his daemons, as it is where systemd runs
mount --make-rshared /
export BERTH_TEST_USER=$3 BERTH_TEST_PROGRAMS=$1/bin
cd "$from"; shift 4; exec "$@""#;

/// Runs the tests that match one of the filters, or the [`SHORT`] set.
pub(crate) fn main(filters: &[String]) -> Result<()> {
    let needs = Needs::met()?;
    test::build()?;
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    run(&needs, &filters, |_| ())
}

/// The same where our programs are built and what the tests need is there; `hear` gets each line that they print.
pub(crate) fn run(needs: &Needs, filters: &[&str], hear: impl FnMut(&str)) -> Result<()> {
    let suite = vm::suite()?;
    run::step("tests, on an ordinary user's daemons");
    let tests = tests(&suite, filters, false)?;
    let place = tempfile::Builder::new().prefix("berth-user-").tempdir()?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SETUP, "sh"]).arg(place.path()).arg(run::programs("debug")?);
    command.args(USER).arg(&suite.path).args(tests);
    command.current_dir(run::root().join(&suite.package));
    needs.tell(&mut command)?;
    command.env_remove("XDG_RUNTIME_DIR");
    run::run_reading(&mut command, hear)
}

/// The options of `suite` for the tests that match one of `filters` (the [`SHORT`] set, if there is none) and hold for an
/// ordinary user, who has control groups or has not.
pub(crate) fn tests(suite: &Program, filters: &[&str], groups: bool) -> Result<Vec<String>> {
    let listing = suite.listing()?;
    let listed: Vec<&str> = vm::names(&listing).collect();
    let text = std::fs::read_to_string(run::root().join(EXCEPTIONS)).context(EXCEPTIONS)?;
    let exceptions = exceptions(&text)?;
    for name in exceptions.keys() {
        ensure!(listed.iter().any(|test| is(test, name)), "{EXCEPTIONS}: there is no test {name}");
    }
    let filters = if filters.is_empty() { SHORT } else { filters };
    let holds = |test: &&str| {
        exceptions.iter().filter(|(name, _)| is(test, name)).all(|(_, except)| match except {
            Except::WithoutGroups => groups,
            Except::Always => false,
        })
    };
    let chosen: Vec<String> = listed
        .iter()
        .filter(|name| filters.iter().any(|filter| name.starts_with(filter)))
        .filter(|name| holds(name))
        .map(|name| (*name).to_owned())
        .collect();
    ensure!(!chosen.is_empty(), "no test matches {}", filters.join(" "));
    Ok(["--exact".to_owned()].into_iter().chain(chosen).collect())
}

/// Whether a test has this name, or is one of the module that it names.
fn is(test: &str, name: &str) -> bool {
    test == name || (name.ends_with("::") && test.starts_with(name))
}

/// When a test does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Except {
    WithoutGroups,
    Always,
}

/// By the tests' names.
fn exceptions(text: &str) -> Result<BTreeMap<&str, Except>> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parsed = line.split_once(' ').and_then(|(when, rest)| {
            let when = match when {
                "groups" => Except::WithoutGroups,
                "always" => Except::Always,
                _ => return None,
            };
            // a module's name ends with two colons of its own
            let (name, reason) = rest.split_once(": ")?;
            (!reason.is_empty()).then_some((name, when))
        });
        let (name, when) = parsed.with_context(|| format!("{EXCEPTIONS}: {line:?}"))?;
        ensure!(all.insert(name, when).is_none(), "{EXCEPTIONS}: {name} stands there twice");
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{Except, exceptions, is};

    #[test]
    fn exceptions_have_a_time_and_a_reason() {
        let text = "# why\n\ngroups a::b: pauses\nalways c: only root: so\nalways d::: no\n";
        let all = exceptions(text).unwrap();
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            [("a::b", Except::WithoutGroups), ("c", Except::Always), ("d::", Except::Always)]
        );
        assert!(is("d::e", "d::") && is("c", "c") && !is("cc", "c") && !is("dd::e", "d::"));
        for wrong in ["never a: b", "always a", "always a: ", "always a: b\ngroups a: b"] {
            assert!(exceptions(wrong).is_err(), "{wrong}");
        }
    }
}
