//! Forwarding, other people's firewall rules, and names.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Check, ok, read, warn};

pub(super) fn checks() -> Vec<Check> {
    vec![forwarding(), firewall(), names()]
}

fn forwarding() -> Check {
    if read("/proc/sys/net/ipv4/ip_forward") == "1" {
        return ok("forwarding", "packets are forwarded");
    }
    warn(
        "forwarding",
        "packets are not forwarded now; the daemon turns it on for its first network, unless it has --ip-forward=false",
        "sysctl net.ipv4.ip_forward=1, if the daemon may not",
    )
}

/// Chains of others that drop what is forwarded: a verdict of drop is final, whoever else accepts.
fn firewall() -> Check {
    if !read("/proc/net/ip_tables_names").is_empty() {
        return warn(
            "firewall",
            "rules of the old iptables (legacy) are in force, which are not seen here",
            "look at iptables-legacy -S FORWARD: if it drops, accept what comes from and goes to Berth's bridges",
        );
    }
    let Some(program) =
        ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"].into_iter().find(|path| Path::new(path).exists())
    else {
        return ok("firewall", "not looked at: there is no nft on this machine");
    };
    let listed = Command::new(program).args(["-j", "list", "chains"]).stdin(Stdio::null()).output();
    let listed = listed.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let Some(document) = listed.and_then(|text| serde_json::from_slice::<Value>(&text).ok()) else {
        return ok("firewall", "not looked at: only root can list its rules");
    };
    let dropping = dropping(&document);
    if dropping.is_empty() {
        return ok("firewall", "nobody's chain drops forwarded packets by its policy");
    }
    warn(
        "firewall",
        format!("forwarded packets are dropped by the policy of {}", dropping.join(", ")),
        "a Docker daemon sets this: stop it, or accept the packets of Berth's bridges in its chain DOCKER-USER, or give \
         berthd --publish-mode=input",
    )
}

/// Base chains at the hook `forward` whose policy drops, ours left out.
fn dropping(document: &Value) -> Vec<String> {
    let chains = document["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |chain: &Value, name: &str| chain[name].as_str().unwrap_or_default().to_owned();
    chains
        .iter()
        .map(|entry| &entry["chain"])
        .filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop")
        .filter(|chain| !text(chain, "table").starts_with("berth"))
        .map(|chain| format!("{} {} {}", text(chain, "family"), text(chain, "table"), text(chain, "name")))
        .collect()
}

fn names() -> Check {
    judge_resolver(&read("/etc/resolv.conf"))
}

fn judge_resolver(text: &str) -> Check {
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .map(str::trim)
        .filter(|server| !server.is_empty())
        .collect();
    let local = |server: &&&str| server.starts_with("127.") || **server == "::1";
    match (servers.len(), servers.iter().filter(local).count()) {
        (0, _) => warn(
            "names",
            "/etc/resolv.conf names no server: names of registries and of the world don't resolve",
            "write a nameserver line, or give berthd --dns",
        ),
        (all, locals) if all == locals => ok(
            "names",
            format!(
                "servers on this machine alone ({}): containers ask them through Berth's own",
                servers.join(", ")
            ),
        ),
        _ => ok("names", format!("servers {}", servers.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn chains_that_drop() {
        let document = serde_json::json!({"nftables": [
            {"metainfo": {}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "inet", "table": "berth", "name": "forward", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "X"}}
        ]});
        assert_eq!(dropping(&document), ["ip filter FORWARD"]);
    }

    #[test]
    fn resolvers() {
        assert_eq!(judge_resolver("search x\n").status, Status::Warn);
        assert!(judge_resolver("nameserver 127.0.0.53\n").found.contains("on this machine alone"));
        assert_eq!(judge_resolver("nameserver 192.0.2.1").status, Status::Ok);
    }
}
