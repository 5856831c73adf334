//! What is here already is judged when it runs, whenever it was brought in.

use anyhow::{Result, ensure};
use e2e::image::Image;
use serde_json::json;

use super::{accept, daemon, refused, reject};

const NAME: &str = "registry.example/team/app:1";

#[test]
fn a_changed_policy_counts_at_the_next_create_and_at_the_next_start() -> Result<()> {
    let (berth, policy) = daemon()?;
    berth.load(&Image::busybox()?, NAME)?;
    ensure!(berth.docker(["run", "--rm", NAME, "echo", "hi"])?.ok()? == "hi");
    berth.docker(["create", "--name", "made", NAME, "true"])?.ok()?;

    policy.write(&json!({"default": accept(), "transports": {"docker": {"registry.example": reject()}}}))?;
    let words = [
        "image registry.example/team/app:1 is refused by the signature policy",
        "(rule docker \"registry.example\")",
    ];
    let ran = berth.docker(["run", "--rm", NAME, "true"])?;
    refused(&ran, &words)?;
    ensure!(ran.code == 125, "exit code {}", ran.code);
    refused(&berth.docker(["start", "made"])?, &words)?;
    let error = berth.docker(["inspect", "-f", "{{.State.Error}}", "made"])?.ok()?;
    ensure!(error.contains("refused by the signature policy"), "{error}");
    // by id, too, and as files that another image's container shows
    let id = berth.docker(["image", "inspect", "-f", "{{.Id}}", NAME])?.ok()?;
    refused(&berth.docker(["create", &id, "true"])?, &words)?;
    refused(&berth.docker(["create", &id[7..19], "true"])?, &words)?;
    berth.docker(["tag", NAME, "plain"])?.ok()?;
    berth.docker(["run", "--rm", "plain", "true"])?.ok()?;
    let mount = format!("type=image,source={NAME},target=/x");
    refused(&berth.docker(["create", "--mount", &mount, "plain", "true"])?, &words)?;

    policy.write(&json!({"default": accept()}))?;
    berth.docker(["start", "made"])?.ok()?;
    berth.finish()
}

#[test]
fn what_is_made_here_has_rules_of_its_own_and_an_archive_is_no_way_around() -> Result<()> {
    let (berth, policy) = daemon()?;
    berth.load(&Image::busybox()?, NAME)?;
    berth.docker(["tag", NAME, "local:1"])?.ok()?;
    let key = policy.path().join("key.pub");
    e2e::programs::run(
        std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("openssl genpkey -algorithm ED25519 | openssl pkey -pubout -out {}", key.display())),
    )?
    .ok()?;
    let signed = json!([{"type": "sigstoreSigned", "keyPath": key}]);
    policy.write(&json!({
        "default": reject(),
        "transports": {
            "docker": {"registry.example": signed},
            "docker-daemon": {"docker.io/library/local": accept()},
        },
    }))?;
    berth.docker(["run", "--rm", "local:1", "true"])?.ok()?;
    refused(
        &berth.docker(["run", "--rm", NAME, "true"])?,
        &["requires a signature by key sha256:", "no signature was found", "not pulled under this name"],
    )?;
    let ran = berth.berth(["image", "verify", NAME])?;
    ensure!(ran.code == 1 && ran.stdout.contains("Verdict:   refused"), "{ran:?}");
    let ran = berth.berth(["image", "verify", "--json", "local:1"])?;
    let verdict: serde_json::Value = serde_json::from_str(&ran.ok()?)?;
    ensure!(verdict["Accepted"] == true, "{verdict}");
    ensure!(verdict["Names"][0]["Scope"] == "docker-daemon \"docker.io/library/local\"", "{verdict}");
    // an image without a name has the rule of all that is made here
    berth.docker(["create", "--name", "keeps", "local:1", "true"])?.ok()?;
    let id = berth.docker(["commit", "keeps"])?.ok()?;
    let ran = berth.docker(["create", &id, "true"])?;
    refused(&ran, &["refused by the signature policy (rule default)", &format!("image {id} is")])?;
    berth.finish()
}

#[test]
fn a_policy_that_cannot_be_read_accepts_nothing_and_says_why() -> Result<()> {
    let (berth, policy) = daemon()?;
    berth.load(&Image::busybox()?, NAME)?;
    for (text, words) in [
        (
            json!({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x"}]}),
            "\"signedBy\" (GPG signatures) is not supported",
        ),
        (json!({"default": [{"type": "sigstoreSigned", "keyPath": "key.pub"}]}), "the path must be absolute"),
        (json!({"default": accept(), "extra": 1}), "unknown key \"extra\""),
    ] {
        policy.write(&text)?;
        let path = policy.path().join("policy.json");
        refused(
            &berth.docker(["run", "--rm", NAME, "true"])?,
            &["no image is accepted", &path.to_string_lossy(), words],
        )?;
    }
    std::fs::remove_file(policy.path().join("policy.json"))?;
    refused(&berth.docker(["run", "--rm", NAME, "true"])?, &["no image is accepted", "No such file"])?;
    berth.finish()
}
