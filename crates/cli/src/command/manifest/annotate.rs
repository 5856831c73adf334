//! `berth manifest annotate`

use super::{parse, store};
use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;

/// Systems and processors that Go knows, which is what Docker takes.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    (
        "linux",
        &[
            "386", "amd64", "arm", "arm64", "ppc64", "ppc64le", "mips", "mipsle", "mips64", "mips64le",
            "riscv64", "s390x", "loong64",
        ],
    ),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64", "arm", "arm64"]),
];

pub(super) static COMMAND: Command = Command::new(
    "annotate",
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    "Add platform data to a local manifest",
    Arity::Exactly(2),
    |context, matches| {
        let (list, image) = (parse(matches.arg(0))?, parse(matches.arg(1))?);
        let store = store(context);
        let Some(mut entry) = store.entry(&list, &image)? else {
            return Err(Error::said(format!("manifest for image {image} does not exist in {list}")));
        };
        let platform = entry.descriptor.platform.get_or_insert_default();
        let set = |field: &mut String, flag: &str| {
            if let Some(value) = matches.given(flag) {
                value.clone_into(field);
            }
        };
        set(&mut platform.os, "os");
        set(&mut platform.architecture, "arch");
        if let Some(value) = matches.given("variant") {
            platform.variant = Some(value.to_owned());
        }
        if let Some(value) = matches.given("os-version") {
            platform.os_version = Some(value.to_owned());
        }
        for feature in matches.all("os-features").iter().flat_map(|list| list.split(',')) {
            if !platform.os_features.iter().any(|known| known == feature) {
                platform.os_features.push(feature.to_owned());
            }
        }
        let known = PLATFORMS.iter().find(|(os, _)| *os == platform.os);
        if !known.is_some_and(|(_, all)| all.contains(&platform.architecture.as_str())) {
            return Err(Error::said(format!(
                "manifest entry for image has unsupported os/arch combination: {}/{}",
                platform.os, platform.architecture
            )));
        }
        store.save(&list, &image, &entry)
    },
)
.flags(&[&[
    Flag::string("arch", "Processor"),
    Flag::string("os", "Operating system"),
    Flag::list("os-features", "Features of the operating system").ty("strings"),
    Flag::string("os-version", "Version of the operating system"),
    Flag::string("variant", "Variant of the processor"),
]]);
