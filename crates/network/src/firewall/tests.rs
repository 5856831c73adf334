//! What we put into the kernel, as the `nft` program reads it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use super::plan::{Bridge, Gateway, Map, Subnet, Target, elements};
use super::*;
use crate::endpoint::Protocol as Transport;
use crate::lab::{Lab, on_host};

/// `nft`'s answer.
fn nft(arguments: &[&str]) -> String {
    let output = Command::new("/usr/sbin/nft").args(arguments).output().expect("these tests need nft");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn listed() -> String {
    nft(&["list", "table", "inet", "berth"])
}

fn bridge(name: &str, v4: (&str, Gateway), v6: (&str, Gateway)) -> Bridge {
    let subnet = |(net, gateway): (&str, Gateway)| Subnet {
        net: net.parse().expect("net"),
        gateway,
        masquerade: gateway != Gateway::Routed,
    };
    Bridge {
        name: name.into(),
        subnets: vec![subnet(v4), subnet(v6)],
        icc: true,
        internal: false,
        unfiltered6: false,
        trusted: vec![],
    }
}

fn target() -> Target {
    let ip6 = Ipv6Addr::new(0xfd00, 0x17, 0, 0, 0, 0, 0, 2);
    Target { ip: Some(Ipv4Addr::new(172, 17, 0, 2)), ip6: Some(ip6), ..Target::default() }
}

fn port(host_ip: Ipv4Addr, host_port: u16) -> PublishedPort {
    PublishedPort {
        protocol: Transport::Tcp,
        container_port: 80,
        host_ip: host_ip.into(),
        host_port,
        more: 0,
    }
}

#[test]
fn the_nft_program_reads_what_we_mean() {
    on_host(|_: &Lab| {
        let mut firewall = Firewall::new("berth".into());
        let mut trusting =
            bridge("br1", ("10.1.0.0/16", Gateway::Unprotected), ("fd01::/64", Gateway::Routed));
        trusting.trusted = vec!["eth7".into()];
        trusting.icc = false;
        let mut inner = bridge("br2", ("10.2.0.0/16", Gateway::Nat), ("fd02::/64", Gateway::Nat));
        inner.internal = true;
        let plain = bridge("berth0", ("172.17.0.0/16", Gateway::Nat), ("fd00:17::/64", Gateway::Nat));
        firewall.apply(&[plain, trusting, inner], [&["up0".into()], &["up1".into()]], &[]).expect("applied");
        let listed = listed();
        let expected = include_str!("tests/table.nft");
        for (line, expected) in listed.lines().zip(expected.lines()) {
            assert_eq!(line, expected);
        }
        assert_eq!(listed.lines().count(), expected.lines().count());
    });
}

#[test]
fn elements_are_read_back_as_they_were_written_and_go_again() {
    on_host(|_: &Lab| {
        let mut firewall = Firewall::new("berth".into());
        let mut ports = vec![port(Ipv4Addr::UNSPECIFIED, 8080), port(Ipv4Addr::LOCALHOST, 8081)];
        let row = (0..100u16)
            .map(|n| PublishedPort { container_port: 20_000 + n, ..port(Ipv4Addr::UNSPECIFIED, 20_000 + n) });
        ports.extend(row);
        let id = "ab".repeat(32);
        let all = elements(&ports, &target(), &id);
        firewall.apply(&[], [&[], &[]], &all).expect("applied");
        firewall.publish(&all).expect("the same again");
        let listed = listed();
        let comment = format!("comment \"{id}\"");
        for wanted in [
            format!("tcp . 8080 {comment} : 172.17.0.2 . 80"),
            format!("127.0.0.1 . tcp . 8081 {comment} : 172.17.0.2 . 80"),
            format!("tcp . 20000-20099 {comment} : 172.17.0.2"),
        ] {
            assert!(listed.contains(&wanted), "{wanted}: {listed}");
        }
        let sorted = |mut elements: Vec<Element>| {
            elements.sort_by(|a, b| (a.map.name(), &a.key).cmp(&(b.map.name(), &b.key)));
            elements
        };
        assert_eq!(sorted(firewall.published().expect("dump")), sorted(all.clone()));
        let other = elements(&ports, &Target { ip: Some(Ipv4Addr::new(172, 17, 0, 3)), ..target() }, &id);
        for element in &other {
            let error = firewall.publish(std::slice::from_ref(element)).expect_err("another value");
            assert!(matches!(error.errno(), Some(Errno::BUSY | Errno::EXIST)), "{error}");
        }
        firewall.unpublish(&all).expect("gone");
        firewall.unpublish(&all).expect("twice");
        assert_eq!(firewall.published().expect("dump"), []);
        firewall.remove().expect("removed");
    });
}

/// Every map takes an element, and gives it back.
#[test]
fn every_map_of_either_family_holds_elements() {
    on_host(|_: &Lab| {
        let mut firewall = Firewall::new("berth".into());
        let all: Vec<_> = Map::all()
            .map(|map| {
                let ip = if map.family == Family::V4 { vec![10; 4] } else { vec![0xfd; 16] };
                let key = |port: u8| {
                    let ip = if map.scope.here() { ip.clone() } else { vec![] };
                    [ip, vec![6, 0, 0, 0, 9, port, 0, 0]].concat()
                };
                let value = match map.way {
                    plan::Way::Published if map.scope.ranges() => ip.clone(),
                    plan::Way::Published => [ip.clone(), vec![0, 80, 0, 0]].concat(),
                    plan::Way::Routed => vec![],
                };
                let end = map.scope.ranges().then(|| key(99));
                Element { map, key: key(1), end, value, container_id: "id".into() }
            })
            .collect();
        firewall.apply(&[], [&[], &[]], &all).expect("applied");
        assert_eq!(firewall.published().expect("dump"), all);
        assert!(listed().contains("2305-2403"));
        firewall.unpublish(&all).expect("gone");
        assert_eq!(firewall.published().expect("dump"), []);
    });
}
