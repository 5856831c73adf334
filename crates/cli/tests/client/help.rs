//! Help texts are part of the interface: each is kept as a file, and a change of one is a change of
//! that file. `BERTH_BLESS=1 cargo test -p cli` writes them anew.

use std::path::Path;
use std::process::Command;

fn check(words: &[&str]) -> Option<String> {
    let shown = Command::new(env!("CARGO_BIN_EXE_berth")).args(words).arg("--help").output().unwrap();
    assert!(shown.status.success(), "{words:?}");
    let text = String::from_utf8(shown.stdout).unwrap();
    let name = if words.is_empty() { "berth".to_owned() } else { words.join("-") };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(name + ".txt");
    if std::env::var_os("BERTH_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    (kept != text).then(|| format!("{} differs from:\n{text}", path.display()))
}

#[test]
fn help_texts_are_as_kept() {
    let different: Vec<String> = [
        &[][..],
        &["run"],
        &["exec"],
        &["ps"],
        &["images"],
        &["update"],
        &["stop"],
        &["container"],
        &["image"],
        &["image", "explore"],
        &["image", "inspect"],
        &["system"],
        &["volume", "create"],
    ]
    .iter()
    .filter_map(|words| check(words))
    .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Every flag that Docker documents for a command is known to it.
#[test]
fn every_flag_of_docker_is_known() {
    let mut missing = String::new();
    let mut shown = (String::new(), String::new());
    for line in include_str!("../docker-flags.tsv").lines() {
        let (command, flag) = line.split_once('\t').unwrap();
        if shown.0 != command {
            let words: Vec<&str> = command.split(' ').filter(|word| *word != "docker").collect();
            let help = Command::new(env!("CARGO_BIN_EXE_berth")).args(words).arg("--help").output().unwrap();
            shown = (command.to_owned(), String::from_utf8(help.stdout).unwrap());
        }
        let known = shown.1.lines().any(|line| line.split([' ', ',']).any(|word| word == flag));
        if !known {
            missing.push_str(&format!("{command} {flag}\n"));
        }
    }
    assert!(missing.is_empty(), "\n{missing}");
}
