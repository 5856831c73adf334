//! Manifests, indexes and configurations that are none, or lie.

use anyhow::Result;
use e2e::registry::picture::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use e2e::registry::{Fault, Picture};
use serde_json::json;

use super::{Ends, Lab, picture};

const ALWAYS: u32 = u32::MAX;

/// What the tag names is something else.
fn instead(lab: &Lab, name: &str, media: &str, body: impl Into<Vec<u8>>, words: &[&str]) -> Result<()> {
    let body = body.into();
    lab.case(name, &picture()?, Ends::Says(words), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::body(media, body));
        Ok(())
    })
}

#[test]
fn what_is_no_manifest() -> Result<()> {
    let lab = Lab::new()?;
    instead(&lab, "nothing", OCI_MANIFEST, "", &["some/image:latest: invalid manifest"])?;
    instead(
        &lab,
        "a page",
        "text/html",
        "<html>sign in, please</html>",
        &["some/image:latest: invalid manifest"],
    )?;
    instead(&lab, "a list", OCI_MANIFEST, "[]", &["some/image:latest: invalid manifest"])?;
    instead(&lab, "a number", OCI_MANIFEST, "7", &["some/image:latest: invalid manifest"])?;
    instead(
        &lab,
        "half of one",
        OCI_MANIFEST,
        "{\"schemaVersion\": 2, \"layers\": [",
        &["some/image:latest: invalid manifest"],
    )?;
    let schema1 =
        json!({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": [], "signatures": []});
    let media = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    instead(&lab, "schema 1", media, schema1.to_string(), &["schema"])?;
    instead(
        &lab,
        "another type",
        "application/vnd.oci.artifact.manifest.v1+json",
        "{}",
        &["unsupported manifest"],
    )?;
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    instead(&lab, "a million brackets", OCI_MANIFEST, deep, &["some/image:latest: invalid manifest"])?;
    let deep = format!(
        "{{\"schemaVersion\":2,\"annotations\":{}1{}",
        "{\"a\":".repeat(100_000),
        "}".repeat(100_001)
    );
    instead(
        &lab,
        "a hundred thousand objects in each other",
        OCI_MANIFEST,
        deep,
        &["some/image:latest: invalid manifest"],
    )?;
    let long = format!("{{\"schemaVersion\":2,\"filler\":\"{}\"}}", "x".repeat(5 << 20));
    instead(&lab, "five megabytes", OCI_MANIFEST, long, &["larger than the limit of 4194304 bytes"])?;
    lab.finish()
}

#[test]
fn manifests_of_the_wrong_shape() -> Result<()> {
    let lab = Lab::new()?;
    let good = picture()?;
    let altered = |change: fn(&mut serde_json::Value)| good.altered(change);
    lab.never(
        "layers are text",
        &altered(|m| m["layers"] = json!("none"))?,
        &["some/image:latest: invalid manifest"],
    )?;
    lab.never(
        "a layer is text",
        &altered(|m| m["layers"] = json!(["sha256:1"]))?,
        &["some/image:latest: invalid manifest"],
    )?;
    lab.never(
        "a digest is none",
        &altered(|m| m["layers"][0]["digest"] = json!("../../etc/passwd"))?,
        &["invalid checksum digest format"],
    )?;
    lab.never(
        "an unknown algorithm",
        &altered(|m| m["config"]["digest"] = json!("md5:0123"))?,
        &["unsupported digest algorithm"],
    )?;
    lab.never(
        "a size is negative",
        &altered(|m| m["layers"][0]["size"] = json!(-1))?,
        &["some/image:latest: invalid manifest"],
    )?;
    lab.never(
        "a size is a text",
        &altered(|m| m["layers"][0]["size"] = json!("12"))?,
        &["some/image:latest: invalid manifest"],
    )?;
    lab.never(
        "a size is beyond all",
        &altered(|m| m["layers"][0]["size"] = json!(u64::MAX))?,
        &["exceeds the limit"],
    )?;
    lab.never(
        "the config is missing",
        &altered(|m| m["config"] = json!(null))?,
        &["some/image:latest: invalid manifest"],
    )?;
    lab.never(
        "the config is as large as a layer",
        &altered(|m| m["config"]["size"] = json!(1_u64 << 40))?,
        &["larger than the limit"],
    )?;
    lab.never(
        "a layer is missing",
        &altered(|m| drop(m["layers"].as_array_mut().map(Vec::pop)))?,
        &["it has 1 layers, and the image config has 2"],
    )?;
    lab.finish()
}

#[test]
fn manifests_that_promise_what_is_not_there() -> Result<()> {
    let lab = Lab::new()?;
    let good = picture()?;
    let altered = |change: fn(&mut serde_json::Value)| good.altered(change);
    let many = altered(|m| {
        let one = m["layers"][0].clone();
        m["layers"] = serde_json::Value::Array(vec![one; 5000]);
    })?;
    lab.never("five thousand layers", &many, &["5000 layers, the limit is 500"])?;
    lab.never("the type of an index", &typed(&good, OCI_INDEX)?, &["unexpected media type"])?;
    lab.never(
        "a size that is wrong",
        &altered(|m| m["layers"][1]["size"] = json!(1000))?,
        &["in place of 1000"],
    )?;
    lab.never(
        "a size that is too large",
        &altered(|m| m["layers"][1]["size"] = json!(9_999_999))?,
        &["in place of 9999999"],
    )?;
    lab.never(
        "a config's size that is wrong",
        &altered(|m| m["config"]["size"] = json!(17))?,
        &["in place of 17"],
    )?;
    lab.never("no JSON in the config", &configured(&good, b"{\"rootfs\":")?, &["invalid image config"])?;
    lab.never("a config that is a list", &configured(&good, b"[]")?, &["the image config has 0"])?;
    lab.never(
        "no root file system",
        &configured(&good, b"{\"os\":\"linux\",\"architecture\":\"amd64\"}")?,
        &["invalid"],
    )?;
    lab.finish()
}

/// The same bytes under another media type.
fn typed(picture: &Picture, media: &str) -> Result<Picture> {
    let mut typed = picture.clone();
    let bytes = picture.bytes()?.1.clone();
    typed.manifests.insert(picture.root.clone(), (media.to_owned(), bytes));
    Ok(typed)
}

/// The same layers with another configuration.
fn configured(picture: &Picture, config: &[u8]) -> Result<Picture> {
    let mut configured = picture.clone();
    let descriptor = configured.blob(config.to_vec(), "application/vnd.oci.image.config.v1+json");
    configured.altered(|manifest| manifest["config"] = descriptor)
}

#[test]
fn digests_that_lie_and_indexes_that_lead_nowhere() -> Result<()> {
    let lab = Lab::new()?;
    let good = picture()?;
    let other = format!("sha256:{}", "0".repeat(64));
    lab.case("another digest in the header", &good, Ends::Says(&["sha256:"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::Header("Docker-Content-Digest".to_owned(), other.clone()));
        Ok(())
    })?;
    lab.case("no digest in the header", &good, Ends::Says(&["Docker-Content-Digest"]), |faulty| {
        faulty.fault(
            "/manifests/",
            ALWAYS,
            Fault::Header("Docker-Content-Digest".to_owned(), "sha256:12".to_owned()),
        );
        Ok(())
    })?;
    let index = Picture::index(e2e::registry::Style::Oci, &[(e2e::image::ARCHITECTURE, good.clone())])?;
    // The index is right, what it leads to is another manifest than it says.
    let child = good.root.clone();
    let media = DOCKER_MANIFEST;
    lab.case("an index leads to another manifest", &index, Ends::Says(&["sha256:"]), |faulty| {
        let wrong = good.altered(|manifest| manifest["annotations"] = json!({"a": "b"}))?;
        faulty.fault(&child, ALWAYS, Fault::body(media, wrong.bytes()?.1.clone()));
        Ok(())
    })?;
    let lost = index.altered(|index| index["manifests"][0]["digest"] = json!(other))?;
    lab.never("an index leads to what is not there", &lost, &["not found"])?;
    let foreign =
        index.altered(|index| index["manifests"][0]["platform"]["architecture"] = json!("s390x"))?;
    lab.never("an index without this machine", &foreign, &["no matching manifest for linux/"])?;
    let empty = index.altered(|index| index["manifests"] = json!([]))?;
    lab.never("an empty index", &empty, &["no matching manifest"])?;
    // An index of itself by name can't be made; one of an index can.
    let nested = Picture::index(e2e::registry::Style::Oci, &[(e2e::image::ARCHITECTURE, index.clone())])?;
    let nested = (0..50).try_fold(nested, |inner, _| {
        Picture::index(e2e::registry::Style::Oci, &[(e2e::image::ARCHITECTURE, inner)])
    })?;
    lab.never("fifty indexes in each other", &nested, &["indexes within each other"])?;
    lab.finish()
}
