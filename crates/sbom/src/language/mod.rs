//! Packages of programming languages: lock files, and what installed packages say of themselves.

mod golang;
mod locks;
mod python;

use sys::path::Root;

use crate::{Ecosystem, Package, Packages, read};

/// Largest lock file.
const MAX_LOCK: usize = 32 << 20;
/// Largest file that an installed package says of itself what it is.
const MAX_METADATA: usize = 1 << 20;

/// Reads a lock file.
type Reader = fn(&[u8], &str, &mut Packages) -> Result<(), String>;

/// Looks at one file.
pub(crate) fn file(root: &Root, path: &str, name: &str, found: &mut Packages) {
    let reader: Reader = match name {
        "Cargo.lock" => locks::cargo,
        "package-lock.json" | "npm-shrinkwrap.json" | ".package-lock.json" => locks::npm,
        "composer.lock" | "installed.json"
            if name == "composer.lock" || path.ends_with("composer/installed.json") =>
        {
            locks::composer
        }
        "Gemfile.lock" => locks::gem,
        "go.mod" => golang::module,
        "requirements.txt" => python::requirements,
        "METADATA" if path.ends_with(".dist-info/METADATA") => python::metadata,
        "PKG-INFO" if path.ends_with(".egg-info/PKG-INFO") => python::metadata,
        "package.json" if installed_node(path) => locks::node_package,
        _ => {
            golang::program(root, path, found);
            return;
        }
    };
    let limit =
        if matches!(name, "METADATA" | "PKG-INFO" | "package.json") { MAX_METADATA } else { MAX_LOCK };
    if let Some(bytes) = read(root, path, limit, found)
        && let Err(error) = reader(&bytes, path, found)
    {
        found.remark(format!("{path} was not read: {error}"));
    }
}

/// `…/node_modules/name/package.json` or `…/node_modules/@scope/name/package.json`.
fn installed_node(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplit('/').collect();
    match parts.as_slice() {
        [_, _, "node_modules", ..] => true,
        [_, _, scope, "node_modules", ..] => scope.starts_with('@'),
        _ => false,
    }
}

fn package(ecosystem: Ecosystem, name: &str, version: &str, license: &str, source: &str) -> Package {
    Package {
        ecosystem,
        name: name.trim().to_owned(),
        version: version.trim().to_owned(),
        architecture: String::new(),
        license: license.trim().to_owned(),
        supplier: String::new(),
        source: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{purls, scanned};

    #[test]
    fn lock_files_of_many_languages() {
        let found = scanned(&[
            ("a/Cargo.lock", b"version = 4\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n"),
            (
                "b/package-lock.json",
                br#"{"packages":{"":{"name":"me"},"node_modules/@x/y":{"version":"2.0.0","license":"MIT"},"node_modules/z":{"link":true}}}"#,
            ),
            ("c/package-lock.json", br#"{"dependencies":{"old":{"version":"1.0.0","dependencies":{"in":{"version":"3.0.0"}}}}}"#),
            ("d/composer.lock", br#"{"packages":[{"name":"a/b","version":"v1.2"}],"packages-dev":[{"name":"c/d","version":"3"}]}"#),
            ("e/Gemfile.lock", b"GEM\n  remote: x\n  specs:\n    rack (2.2.0)\n      dep (>= 1)\n    nokogiri (1.15.0-x86_64-linux)\n\nPLATFORMS\n  ruby\n"),
            ("f/requirements.txt", b"# words\nFlask==2.0 ; python_version > '3'\nloose>=1\n-r other.txt\nX_y[extra]===1.0 --hash=sha256:00\n"),
            ("usr/lib/python3/site-packages/six-1.16.dist-info/METADATA", b"Metadata-Version: 2.1\nName: six\nVersion: 1.16\nLicense: MIT\n\nName: no\n"),
            ("g/go.mod", b"module me\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/sys v0.1.0 // indirect\n)\nrequire example.com/One v1.0.0\n"),
            ("h/node_modules/@s/n/package.json", br#"{"name":"@s/n","version":"9.0.0"}"#),
            ("h/package.json", br#"{"name":"not-installed","version":"1"}"#),
        ]);
        assert!(found.remarks.is_empty(), "{:?}", found.remarks);
        assert_eq!(
            purls(&found),
            [
                "pkg:cargo/serde@1.0.1",
                "pkg:npm/%40s/n@9.0.0",
                "pkg:npm/%40x/y@2.0.0",
                "pkg:npm/in@3.0.0",
                "pkg:npm/old@1.0.0",
                "pkg:pypi/flask@2.0",
                "pkg:pypi/x-y@1.0",
                "pkg:pypi/six@1.16",
                "pkg:golang/example.com/One@v1.0.0",
                "pkg:golang/golang.org/x/sys@v0.1.0",
                "pkg:gem/nokogiri@1.15.0-x86_64-linux",
                "pkg:gem/rack@2.2.0",
                "pkg:composer/a/b@v1.2",
                "pkg:composer/c/d@3",
            ]
        );
        assert_eq!(found.all[2].license, "MIT");
    }

    #[test]
    fn broken_ones_are_named() {
        let found = scanned(&[
            ("package-lock.json", b"{"),
            ("composer.lock", b"[]"),
            ("x.dist-info/METADATA", b"Version: 1\n"),
            ("Cargo.lock", &[0xff, 0xfe]),
        ]);
        assert!(found.all.is_empty());
        assert_eq!(found.remarks.len(), 3, "{:?}", found.remarks);
    }
}
