//! SPDX 2.3 as JSON.

use jiff::Timestamp;
use oci::Digest;
use serde_json::{Value, json};

use crate::{Package, Packages};

/// What is not known.
const NOTHING: &str = "NOASSERTION";

/// The document about an image of this name. The same packages and time give the same bytes.
pub fn spdx(found: &Packages, name: &str, created: Timestamp) -> Value {
    let root = json!({
        "SPDXID": "SPDXRef-DocumentRoot",
        "name": name,
        "versionInfo": found.pretty,
        "downloadLocation": NOTHING,
        "filesAnalyzed": false,
        "licenseConcluded": NOTHING,
        "licenseDeclared": NOTHING,
        "copyrightText": NOTHING,
        "primaryPackagePurpose": "CONTAINER",
    });
    let ids: Vec<String> = found.all.iter().map(|package| id(package, found)).collect();
    let packages = found.all.iter().zip(&ids).map(|(one, id)| package(one, id, found));
    let packages: Vec<Value> = std::iter::once(root).chain(packages).collect();
    let contains = ids.iter().map(|id| relationship("SPDXRef-DocumentRoot", "CONTAINS", id));
    let relationships: Vec<Value> =
        std::iter::once(relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-DocumentRoot"))
            .chain(contains)
            .collect();
    let mut creation = json!({
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "creators": [format!("Tool: berth-{}", env!("CARGO_PKG_VERSION"))],
    });
    if !found.remarks.is_empty() {
        creation["comment"] = found.remarks.join("\n").into();
    }
    let digest = Digest::sha256(json!([name, packages]).to_string().as_bytes());
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://berth.invalid/spdx/{}", digest.hex()),
        "creationInfo": creation,
        "packages": packages,
        "relationships": relationships,
    })
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// Letters, digits, dots and dashes alone, and the same package has the same.
fn id(package: &Package, found: &Packages) -> String {
    let clean = |text: &str| -> String {
        text.chars()
            .map(|sign| if sign.is_ascii_alphanumeric() || sign == '.' { sign } else { '-' })
            .collect()
    };
    let digest = Digest::sha256(package.purl(found).as_bytes());
    format!("SPDXRef-Package-{}-{}-{}", package.ecosystem.name(), clean(&package.name), &digest.hex()[..16])
}

fn package(package: &Package, id: &str, found: &Packages) -> Value {
    let mut value = json!({
        "SPDXID": id,
        "name": package.name,
        "downloadLocation": NOTHING,
        "filesAnalyzed": false,
        "licenseConcluded": NOTHING,
        "licenseDeclared": NOTHING,
        "copyrightText": NOTHING,
        "sourceInfo": format!("acquired package info from {}: /{}", package.ecosystem.name(), package.source),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": package.purl(found),
        }],
    });
    if !package.version.is_empty() {
        value["versionInfo"] = package.version.clone().into();
    }
    if !package.supplier.is_empty() {
        value["supplier"] = format!("Organization: {}", package.supplier).into();
    }
    // package managers' words are no SPDX expressions: they stand as what they are
    if !package.license.is_empty() {
        value["licenseComments"] = package.license.clone().into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ecosystem;

    #[test]
    fn a_document_and_its_relationships() {
        let package = Package {
            ecosystem: Ecosystem::Deb,
            name: "libc++1".into(),
            version: "1:2.0-1".into(),
            architecture: "amd64".into(),
            license: String::new(),
            supplier: "Debian".into(),
            source: "var/lib/dpkg/status".into(),
        };
        let found = Packages {
            all: vec![package],
            distribution: "debian".into(),
            version: "12".into(),
            remarks: vec!["x was not read".into()],
            ..Packages::default()
        };
        let document = spdx(&found, "image", Timestamp::UNIX_EPOCH);
        assert_eq!(document["spdxVersion"], "SPDX-2.3");
        assert_eq!(document["creationInfo"]["created"], "1970-01-01T00:00:00Z");
        assert_eq!(document["creationInfo"]["comment"], "x was not read");
        let package = &document["packages"][1];
        assert_eq!(
            package["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libc%2B%2B1@1:2.0-1?arch=amd64&distro=debian-12"
        );
        let id = package["SPDXID"].as_str().unwrap();
        assert!(id.starts_with("SPDXRef-Package-deb-libc--1-"), "{id}");
        assert_eq!(document["relationships"][1]["relatedSpdxElement"], id);
        assert_eq!(document, spdx(&found, "image", Timestamp::UNIX_EPOCH));
    }
}
