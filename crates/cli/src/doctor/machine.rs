//! Clock, subordinate ids, and registries' certificates.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Check, ok, read, warn};

/// A time that is over: no clock that goes right shows an earlier one. 2025-01-01.
const OVER: Duration = Duration::from_secs(1_735_689_600);
/// Ids that a user namespace needs.
const IDS: u64 = 65_536;
/// Where registries' certificates lie.
const CERTIFICATES: [&str; 2] = ["/etc/docker/certs.d", "/etc/berth/certs.d"];

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![clock(), subordinate_ids()];
    checks.extend(certificates(&CERTIFICATES.map(Path::new)));
    checks
}

fn clock() -> Check {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now < OVER {
        return warn(
            "clock",
            "the machine's clock is years behind: certificates of registries count as not yet valid",
            "set it, and let systemd-timesyncd or chrony keep it",
        );
    }
    ok("clock", "the clock shows a time that can be right")
}

fn subordinate_ids() -> Check {
    let uid = rustix::process::geteuid().as_raw();
    let name = std::env::var("USER").unwrap_or_default();
    let has = |path: &str| enough(&read(path), &name, uid);
    if has("/etc/subuid") && has("/etc/subgid") {
        return ok("subordinate ids", "this user has enough for containers without root");
    }
    if uid == 0 {
        return ok(
            "subordinate ids",
            "root has none; they are needed for --userns-remap and daemons without root",
        );
    }
    warn(
        "subordinate ids",
        format!("user {uid} has fewer than {IDS}: a daemon without root runs containers of one user only"),
        "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
    )
}

/// Whether `/etc/subuid` gives a user enough: `NAME-OR-ID:FIRST:COUNT`.
fn enough(text: &str, name: &str, uid: u32) -> bool {
    let ids: u64 = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let count = fields.nth(1)?.parse::<u64>().ok()?;
            (owner == uid.to_string() || !name.is_empty() && owner == name).then_some(count)
        })
        .fold(0, u64::saturating_add);
    ids >= IDS
}

/// What lies in `certs.d` and can't be used.
fn certificates(places: &[&Path]) -> Vec<Check> {
    let (mut hosts, mut wrong) = (0, Vec::new());
    for place in places {
        for host in std::fs::read_dir(place).into_iter().flatten().flatten() {
            hosts += 1;
            for file in std::fs::read_dir(host.path()).into_iter().flatten().flatten() {
                let path = file.path();
                if let Some(problem) = problem(&path) {
                    wrong.push(format!("{}: {problem}", path.display()));
                }
            }
        }
    }
    if hosts == 0 {
        return Vec::new();
    }
    if wrong.is_empty() {
        return vec![ok("certificates", format!("those of {hosts} registries can be read"))];
    }
    vec![warn(
        "certificates",
        wrong.join("; "),
        "put PEM there: ca.crt for authorities, NAME.cert and NAME.key for this machine",
    )]
}

fn problem(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    let begins = match ending {
        "crt" | "cert" => "-----BEGIN CERTIFICATE-----",
        "key" => "PRIVATE KEY-----",
        _ => return None,
    };
    let bytes = match sys::file::read_bounded(path, 1 << 20) {
        Ok(bytes) => bytes,
        Err(error) => return Some(crate::error::reason(&error)),
    };
    if !String::from_utf8_lossy(&bytes).contains(begins) {
        return Some("holds no PEM of its kind".into());
    }
    let pair = match ending {
        "cert" => path.with_extension("key"),
        "key" => path.with_extension("cert"),
        _ => return None,
    };
    (!pair.exists()).then(|| format!("{} is missing", pair.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn ids_by_name_or_number() {
        assert!(enough("me:100000:65536\n", "me", 7));
        assert!(enough("7:100000:32768\nme:200000:32768\n", "me", 7));
        assert!(!enough("other:100000:65536\n:1:99999\n", "", 7));
    }

    #[test]
    fn certificates_that_can_t_be_used() {
        let dir = tempfile::tempdir().unwrap();
        assert!(certificates(&[dir.path()]).is_empty());
        let host = dir.path().join("registry.test");
        std::fs::create_dir(&host).unwrap();
        std::fs::write(host.join("ca.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert_eq!(certificates(&[dir.path()])[0].status, Status::Ok);
        std::fs::write(host.join("client.cert"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        let checks = certificates(&[dir.path()]);
        assert!(
            checks[0].status == Status::Warn && checks[0].found.contains("client.key is missing"),
            "{checks:?}"
        );
    }
}
