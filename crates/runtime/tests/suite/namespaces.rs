use serde_json::json;

use crate::bundle::Bundle;

fn namespace_of(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string()
}

#[test]
fn listed_ones_are_new_and_others_are_the_host_s() {
    let mut b =
        Bundle::new("for n in pid net ipc uts mnt cgroup time; do readlink /proc/self/ns/$n; done; hostname");
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "time" }));
    let out = b.output();
    let lines: Vec<&str> = out.lines().collect();
    for (line, kind) in lines.iter().zip(["pid", "net", "ipc", "uts", "mnt", "cgroup", "time"]) {
        assert!(line.starts_with(&format!("{kind}:[")), "{line}");
        assert_ne!(*line, namespace_of(kind));
    }
    assert_eq!(lines[7], "berth");
    let mut b = Bundle::new("readlink /proc/self/ns/net");
    b.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .retain(|n| n["type"] != "network" && n["type"] != "ipc");
    assert!(b.output().contains(&namespace_of("net")));
}

#[test]
fn loopback_is_up_in_a_new_network_namespace() {
    let out = Bundle::new("cat /sys/class/net/lo/flags; cat /proc/net/route").output();
    let flags = u32::from_str_radix(out.lines().next().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1);
}

#[test]
fn another_container_s_namespaces_are_joined() {
    let mut first = Bundle::sleeping();
    first.start();
    let pid = first.pid();
    let mut b = Bundle::new("for n in net ipc pid; do readlink /proc/self/ns/$n; done; ps | wc -l");
    let join = |kind: &str, file: &str| json!({ "type": kind, "path": format!("/proc/{pid}/ns/{file}") });
    b.spec["linux"]["namespaces"] = json!([
        { "type": "mount" }, { "type": "uts" }, join("network", "net"), join("ipc", "ipc"), join("pid", "pid"),
    ]);
    let out = b.output();
    for (line, kind) in out.lines().zip(["net", "ipc", "pid"]) {
        assert_eq!(line, std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string());
    }
    // a heading, the first container's two, sh, ps, wc
    assert!(out.lines().nth(3).unwrap().trim().parse::<u32>().unwrap() >= 5, "{out}");
    first.end();
}

#[test]
fn clocks_are_shifted() {
    let mut b = Bundle::new("cat /proc/uptime");
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "time" }));
    b.spec["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000_000 } });
    let uptime: f64 = b.output().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 1e9, "{uptime}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut b = Bundle::new("true");
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "pid" }));
    b.fails_with("listed twice");
    let mut b = Bundle::new("true");
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "uts");
    b.fails_with("hostname");
    let mut b = Bundle::new("true");
    b.spec["linux"]["namespaces"][0]["path"] = "/nonexistent/ns".into();
    b.fails_with("/nonexistent/ns");
}
