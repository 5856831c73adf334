//! Networks and addresses, as several machines see them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::*;
use cluster::Error;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_one_makes_is_there_for_all() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let (a, b) = (machine(&etcd, dir.path(), "a").await?, machine(&etcd, dir.path(), "b").await?);
    let made = a.cluster.create_network(network(1), Some(&[])).await?;
    assert!(made.vni >= 4096 && made.subnets.len() == 1);
    assert!(a.cluster.view().networks.contains_key(&id(1)), "the maker knows it at once");
    sees(&b, "the network", |view| view.networks.get(&id(1)).is_some_and(|seen| **seen == made)).await?;

    let twice = b.cluster.create_network(Network { id: id(2), ..network(1) }, Some(&[])).await;
    assert!(matches!(twice, Err(Error::NameInUse(_))), "{twice:?}");
    let overlap = Network { subnets: made.subnets.clone(), ..network(3) };
    assert_eq!(b.cluster.create_network(overlap, Some(&[])).await, Err(Error::PoolOverlap));

    let got = b.cluster.claim(&id(1), &id(9), Addresses::default()).await?;
    b.cluster.publish(&id(1), &id(9), endpoint(9, "b", got)).await;
    sees(&a, "the endpoint", |view| endpoints(view, 1) == 1).await?;
    let refused = a.cluster.remove_network(&id(1)).await;
    assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");
    b.cluster.release(&id(1), &id(9));
    sees(&a, "no endpoint", |view| endpoints(view, 1) == 0).await?;
    // the claim goes in a transaction of its own
    loop {
        match a.cluster.remove_network(&id(1)).await {
            Err(Error::InUse { .. }) => {}
            removed => break removed?,
        }
    }
    sees(&b, "no network", |view| view.networks.is_empty()).await?;
    assert!(matches!(a.cluster.remove_network(&id(1)).await, Err(Error::NoSuchNetwork(_))));
    a.cluster.create_network(network(1), Some(&[])).await?;
    assert_eq!(etcd.count("berth/v1/names/")?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_made_at_the_same_time_have_numbers_and_subnets_of_their_own() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let mut tasks = Vec::new();
    for (name, first) in [("a", 0), ("b", 50), ("c", 100)] {
        let machine = machine(&etcd, dir.path(), name).await?;
        for byte in first..first + 10 {
            let cluster = machine.cluster.clone();
            tasks.push(tokio::spawn(async move { cluster.create_network(network(byte), Some(&[])).await }));
        }
    }
    let (mut numbers, mut subnets) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        let made = task.await??;
        assert!(numbers.insert(made.vni) && subnets.insert(made.subnets[0].subnet));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_given_once() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let (a, b) = (machine(&etcd, dir.path(), "a").await?, machine(&etcd, dir.path(), "b").await?);
    let made = a.cluster.create_network(network(1), Some(&[])).await?;
    sees(&b, "the network", |view| view.networks.len() == 1).await?;
    let ip = Some(Ipv4Addr::from([10, 0, 0, 77]));
    let wanted = Addresses { ip, ip6: None };
    assert_eq!(a.cluster.claim(&id(1), &id(7), wanted).await?, wanted);
    let again = b.cluster.claim(&id(1), &id(8), wanted).await;
    let Err(Error::AddressInUse { container, host, .. }) = &again else { panic!("{again:?}") };
    assert_eq!((container, host.as_str()), (&id(7), "a"));
    assert_eq!(again.map_err(|error| error.to_string().starts_with("Address already in use")), Err(true));
    let gateway = Addresses { ip: Some(Ipv4Addr::from([10, 0, 0, 1])), ip6: None };
    assert!(matches!(b.cluster.claim(&id(1), &id(8), gateway).await, Err(Error::AddressOutside { .. })));
    let nowhere = b.cluster.claim(&id(5), &id(8), Addresses::default()).await;
    assert_eq!(nowhere, Err(Error::NoSuchNetwork(id(5))));
    // a small network is used up to the last address, from both sides
    let mut got = BTreeSet::from([ip]);
    for byte in 0..252u8 {
        let machine = if byte % 2 == 0 { &a } else { &b };
        let container = format!("{:064x}", 1000 + u32::from(byte));
        assert!(got.insert(machine.cluster.claim(&id(1), &container, Addresses::default()).await?.ip));
    }
    let none = a.cluster.claim(&id(1), &id(200), Addresses::default()).await;
    assert_eq!(none, Err(Error::Exhausted(made.name)));
    // given back, it can be had again, by the other machine too
    a.cluster.release(&id(1), &id(7));
    loop {
        match b.cluster.claim(&id(1), &id(8), wanted).await {
            Err(Error::AddressInUse { .. }) => {}
            claimed => break assert_eq!(claimed?, wanted),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_are_claimed_together_or_not_at_all() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let a = machine(&etcd, dir.path(), "a").await?;
    let subnet = |net: &str, gateway: &str| cluster::Subnet {
        subnet: net.parse().expect("subnet"),
        ip_range: None,
        gateway: gateway.parse().expect("gateway"),
        aux: Default::default(),
    };
    let subnets = vec![subnet("10.7.0.0/24", "10.7.0.1"), subnet("fd77::/64", "fd77::1")];
    a.cluster.create_network(Network { subnets, ..network(1) }, Some(&[])).await?;
    let ip6 = Some("fd77::9".parse()?);
    let got = a.cluster.claim(&id(1), &id(7), Addresses { ip: None, ip6 }).await?;
    assert!(got.ip.is_some() && got.ip6 == ip6);
    assert!(a.cluster.claim(&id(1), &id(8), Addresses { ip: None, ip6 }).await.is_err());
    // the IPv4 address that it had got by then is given back
    e2e::programs::eventually("two claims", || Ok((etcd.count("berth/v1/claims/")? == 2).then_some(())))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_of_us_would_write_is_ignored() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let long = "x".repeat(300 << 10);
    let keys = [
        ("berth/v1/networks/x".to_owned(), "{}"),
        (format!("berth/v1/networks/{}", id(3)), "{"),
        (format!("berth/v1/networks/{}", id(4)), long.as_str()),
        ("berth/v1/hosts/h".to_owned(), r#"{"id":"h","name":"h","address":"127.0.0.1"}"#),
        (format!("berth/v1/claims/{}/10.0.0.2", id(1)), "null"),
        (format!("berth/v1/endpoints/{}/{}", id(1), id(2)), "[]"),
        ("berth/v1/else".to_owned(), ""),
    ];
    for (key, value) in &keys {
        etcd.put(key, value)?;
    }
    let a = machine(&etcd, dir.path(), "a").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    for (key, value) in &keys {
        etcd.put(key, value)?;
    }
    // whoever has written there keeps it: the address is skipped
    let got = a.cluster.claim(&id(1), &id(7), Addresses::default()).await?;
    a.cluster.publish(&id(1), &id(7), endpoint(7, "a", got)).await;
    sees(&a, "the endpoint", |view| endpoints(view, 1) == 1 && view.hosts.len() == 1).await?;
    assert_eq!(a.cluster.view().networks.len(), 1);
    Ok(())
}
