//! Capabilities, security options, sysctls.

use std::io::Read;

use api::container::CreateRequest;

use super::refuse;
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};
use crate::opts::kv;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("cap-add", "Add Linux capabilities"),
    Flag::list("cap-drop", "Take Linux capabilities away"),
    Flag::bool("privileged", "Give the container all privileges"),
    Flag::list("security-opt", "Security options"),
    Flag::list("sysctl", "Set kernel parameters").ty("map").shows("map[]").check(check_sysctl),
];

/// The largest seccomp profile that is sent.
const PROFILE_LIMIT: u64 = 4 << 20;

/// Parameters that belong to a namespace of the container, and not to the host.
fn check_sysctl(text: &str) -> Result<(), String> {
    let known = text
        .split_once('=')
        .is_some_and(|(name, _)| name.starts_with("net.") || sys::process::is_ipc_parameter(name));
    if known { Ok(()) } else { Err(format!("sysctl '{text}' is not allowed")) }
}

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    let host = &mut request.host_config;
    host.cap_add = capabilities(&matches.all("cap-add"));
    host.cap_drop = capabilities(&matches.all("cap-drop"));
    // What is added is not dropped.
    let added = &host.cap_add;
    host.cap_drop.retain(|name| name == ALL || !added.contains(name));
    host.privileged = matches.bool("privileged");
    host.sysctls = kv::map(&matches.all("sysctl"));
    for text in matches.all("security-opt") {
        let Some((key, value)) = text.split_once('=').or_else(|| text.split_once(':')) else {
            if text != "no-new-privileges" {
                return refuse(format!("Invalid --security-opt: \"{text}\""));
            }
            host.security_opt.push(text.to_owned());
            continue;
        };
        match (key, value) {
            // The client's shorthand for two empty lists.
            ("systempaths", "unconfined") => {
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
            }
            ("seccomp", file) if !["unconfined", "builtin"].contains(&file) => {
                host.security_opt.push(format!("seccomp={}", profile(file)?));
            }
            _ => host.security_opt.push(text.to_owned()),
        }
    }
    Ok(())
}

const ALL: &str = "ALL";

/// Names as the kernel spells them, sorted, each once; `ALL` stands alone.
fn capabilities(given: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = given
        .iter()
        .map(|name| name.trim().to_uppercase())
        .map(|name| if name == ALL || name.starts_with("CAP_") { name } else { format!("CAP_{name}") })
        .collect();
    if names.iter().any(|name| name == ALL) {
        return vec![ALL.to_owned()];
    }
    names.sort();
    names.dedup();
    names
}

/// The profile in a file, as one line of JSON.
fn profile(file: &str) -> Result<String> {
    let mut text = Vec::new();
    std::fs::File::open(file).and_then(|opened| opened.take(PROFILE_LIMIT).read_to_end(&mut text)).map_err(
        |error| {
            Error::said(format!("opening seccomp profile ({file}) failed: open {file}: {}", reason(&error)))
        },
    )?;
    let json: crate::format::json::Json = serde_json::from_slice(&text).map_err(|error| {
        Error::said(format!("compacting json for seccomp profile ({file}) failed: {error}"))
    })?;
    Ok(json.compact())
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;

    #[test]
    fn a_profile_is_sent_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.json");
        std::fs::write(&file, "{ \"b\": 1,\n \"a\": 2 }").unwrap();
        let opt = format!("seccomp={}", file.display());
        assert_eq!(
            plan(&["--security-opt", &opt]).unwrap().host_config.security_opt,
            ["seccomp={\"b\":1,\"a\":2}"]
        );
        assert_eq!(
            plan(&["--security-opt", "seccomp=/nonexistent"]).unwrap_err(),
            "opening seccomp profile (/nonexistent) failed: open /nonexistent: no such file or directory"
        );
    }

    #[test]
    fn other_options() {
        let host = plan(&["--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges"]);
        let host = host.unwrap().host_config;
        assert_eq!(
            (host.masked_paths, host.security_opt),
            (Some(vec![]), vec!["no-new-privileges".to_owned()])
        );
        assert_eq!(plan(&["--security-opt", "foo"]).unwrap_err(), "Invalid --security-opt: \"foo\"");
        assert!(plan(&["--sysctl", "foo"]).unwrap_err().ends_with("sysctl 'foo' is not allowed"));
        assert_eq!(plan(&["--sysctl", "net.a=1"]).unwrap().host_config.sysctls["net.a"], "1");
    }
}
