//! Many containers at once.

use std::collections::BTreeSet;
use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_addresses_from_three_machines_are_a_thousand() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let mut machines = Vec::new();
    for name in ["a", "b", "c"] {
        machines.push(machine(&etcd, dir.path(), name).await?);
    }
    let subnet = cluster::Subnet {
        subnet: "10.9.0.0/20".parse()?,
        ip_range: None,
        gateway: "10.9.0.1".parse()?,
        aux: Default::default(),
    };
    machines[0].cluster.create_network(Network { subnets: vec![subnet], ..network(1) }, Some(&[])).await?;
    for machine in &machines {
        sees(machine, "the network", |view| view.networks.len() == 1).await?;
    }
    let begun = Instant::now();
    let mut tasks = Vec::new();
    // ten at a time from each machine
    for (at, machine) in machines.iter().enumerate() {
        for worker in 0..10 {
            let cluster = machine.cluster.clone();
            tasks.push(tokio::spawn(async move {
                let mut got = Vec::new();
                for number in (worker..334).step_by(10) {
                    let container = format!("{:064x}", at * 1000 + number);
                    let addresses = cluster.claim(&id(1), &container, Addresses::default()).await?;
                    let host = cluster.host().id;
                    let end = Endpoint { id: container.clone(), ..endpoint(1, &host, addresses) };
                    cluster.publish(&id(1), &container, end).await;
                    got.push(addresses.ip);
                }
                anyhow::Ok(got)
            }));
        }
    }
    let (mut all, mut count) = (BTreeSet::new(), 0);
    for task in tasks {
        for ip in task.await?? {
            assert!(all.insert(ip), "{ip:?} was given twice");
            count += 1;
        }
    }
    println!("{count} endpoints in {:?}", begun.elapsed());
    assert_eq!(count, 1002);
    for machine in &machines {
        sees(machine, "all endpoints", |view| endpoints(view, 1) == count).await?;
    }
    for (at, machine) in machines.iter().enumerate() {
        (0..334).for_each(|number| machine.cluster.release_all(&format!("{:064x}", at * 1000 + number)));
    }
    e2e::programs::eventually("no claim", || Ok((etcd.count("berth/v1/claims/")? == 0).then_some(())))?;
    assert_eq!(etcd.count("berth/v1/endpoints/")?, 0);
    Ok(())
}
