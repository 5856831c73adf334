//! Lists of packages that are text: dpkg's, apk's, and what a system says of itself.

use crate::{Ecosystem, Package, Packages};

/// `os-release(5)`.
pub(super) fn release(text: &str, found: &mut Packages) {
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        match key.trim() {
            "ID" => found.distribution = value,
            "VERSION_ID" => found.version = value,
            "PRETTY_NAME" => found.pretty = value,
            _ => {}
        }
    }
}

/// `deb822(5)`: paragraphs of fields; a line that begins with a space goes on with the one before.
pub(super) fn dpkg(text: &str, source: &str, found: &mut Packages) {
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let mut fields = paragraph.lines().filter(|line| !line.starts_with([' ', '\t']));
            let value = fields.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        let status = field("Status");
        if !status.is_empty() && !status.ends_with(" installed") {
            continue;
        }
        found.add(Package {
            ecosystem: Ecosystem::Deb,
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
            license: String::new(),
            supplier: field("Maintainer"),
            source: source.to_owned(),
        });
    }
}

/// apk's `installed`: a letter, a colon and a value a line, an empty line between packages.
pub(super) fn apk(text: &str, source: &str, found: &mut Packages) {
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let value = paragraph.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim().to_owned()
        };
        found.add(Package {
            ecosystem: Ecosystem::Apk,
            name: field("P:"),
            version: field("V:"),
            architecture: field("A:"),
            license: field("L:"),
            supplier: field("m:"),
            source: source.to_owned(),
        });
    }
}
