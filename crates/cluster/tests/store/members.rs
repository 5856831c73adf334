//! A store of three members, one of which dies.

use super::*;

/// A machine that knows the members in this order.
async fn knows(members: [&str; 3], dir: &Path, name: &str) -> Result<Machine> {
    let url = format!("etcd://{}", members.join(","));
    let (cluster, lost) = Cluster::open(options_of(&url, dir, name, 60)?)?;
    cluster.start();
    cluster.ready().await?;
    Ok(Machine { cluster, lost })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dies_is_not_missed() -> Result<()> {
    let (mut members, dir) = (Etcd::trio()?, tempfile::tempdir()?);
    let url = Etcd::url_of(&members);
    let addresses: Vec<_> = url.trim_start_matches("etcd://").split(',').collect();
    let [one, two, three] = [addresses[0], addresses[1], addresses[2]];
    // each asks another member first
    let mut machines = [
        knows([one, two, three], dir.path(), "a").await?,
        knows([two, three, one], dir.path(), "b").await?,
        knows([three, one, two], dir.path(), "c").await?,
    ];
    machines[0].cluster.create_network(network(1), Some(&[])).await?;
    for (byte, (machine, name)) in (10..).zip(machines.iter().zip(["a", "b", "c"])) {
        sees(machine, "the network", |view| view.networks.len() == 1).await?;
        let got = machine.cluster.claim(&id(1), &id(byte), Addresses::default()).await?;
        machine.cluster.publish(&id(1), &id(byte), endpoint(byte, name, got)).await;
    }
    // one that leads and one that follows, one after the other
    for leads in [true, false] {
        let leading = members.iter().map(Etcd::leads).collect::<Result<Vec<_>>>()?;
        let at = leading.iter().position(|other| *other == leads).context("no such member")?;
        members[at].kill()?;
        let byte = 20 + u8::from(leads);
        for (more, (machine, name)) in machines.iter().zip(["a", "b", "c"]).enumerate() {
            let holder = byte + 10 * u8::try_from(more)?;
            let got = retry(async || machine.cluster.claim(&id(1), &id(holder), Addresses::default()).await)
                .await?;
            machine.cluster.publish(&id(1), &id(holder), endpoint(holder, name, got)).await;
        }
        let all = if leads { 6 } else { 9 };
        for machine in &machines {
            sees(machine, "everybody's endpoints", |view| endpoints(view, 1) == all && view.hosts.len() == 3)
                .await?;
        }
        members[at].resume()?;
        e2e::programs::eventually("a leader", || {
            Ok(members.iter().any(|member| member.leads().unwrap_or(false)).then_some(()))
        })?;
    }
    let addresses = machines[0].cluster.view().endpoints(&id(1)).len();
    assert_eq!((addresses, members[0].count("berth/v1/claims/")?), (9, 9), "nothing lost, nothing twice");
    assert!(machines.iter_mut().all(|machine| machine.lost.try_recv().is_err()));
    Ok(())
}
