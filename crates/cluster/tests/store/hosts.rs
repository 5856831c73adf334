//! Machines that come, die, and come back.

use super::*;
use cluster::Error;

/// A store, and a machine that has made a network.
async fn founded() -> Result<(Etcd, tempfile::TempDir, Machine)> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let a = machine(&etcd, dir.path(), "a").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    Ok((etcd, dir, a))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_dies_loses_everything_when_its_lease_runs_out() -> Result<()> {
    let (etcd, dir, a) = founded().await?;
    let b = awake(&etcd, dir.path(), "b", 2).await?;
    sees(&a, "both machines", |view| view.hosts.len() == 2).await?;
    let got = b.cluster.claim(&id(1), &id(9), Addresses::default()).await?;
    b.cluster.publish(&id(1), &id(9), endpoint(9, "b", got)).await;
    sees(&a, "the endpoint", |view| endpoints(view, 1) == 1).await?;
    b.cluster.close();
    sees(&a, "one machine, no endpoint", |view| view.hosts.len() == 1 && endpoints(view, 1) == 0).await?;
    let again = a.cluster.claim(&id(1), &id(8), got).await?;
    assert_eq!(again, got, "its address can be had again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_again_in_time_goes_on() -> Result<()> {
    let (etcd, dir, a) = founded().await?;
    let (stays, goes) = (
        a.cluster.claim(&id(1), &id(8), Addresses::default()).await?,
        a.cluster.claim(&id(1), &id(9), Addresses::default()).await?,
    );
    a.cluster.publish(&id(1), &id(8), endpoint(8, "a", stays)).await;
    a.cluster.publish(&id(1), &id(9), endpoint(9, "a", goes)).await;
    a.cluster.close();
    let record = std::fs::read(dir.path().join("a/session.json"))?;

    let mut again = asleep(&etcd, dir.path(), "a", 60)?;
    again.cluster.adopt(&id(1), &id(8), endpoint(8, "a", stays))?;
    again.cluster.start();
    sees(&again, "what lives", |view| endpoints(view, 1) == 1).await?;
    assert_eq!(std::fs::read(dir.path().join("a/session.json"))?, record, "the same lease");
    assert_eq!(etcd.count("berth/v1/claims/")?, 1, "what does not live any more is given back");
    assert!(again.lost.try_recv().is_err());
    let taken = again.cluster.claim(&id(1), &id(7), stays).await;
    assert!(matches!(taken, Err(Error::AddressInUse { .. })), "{taken:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_again_too_late_claims_again_what_it_can() -> Result<()> {
    let (etcd, dir, a) = founded().await?;
    let b = awake(&etcd, dir.path(), "b", 2).await?;
    sees(&b, "the network", |view| view.networks.len() == 1).await?;
    let (kept, lost) = (
        b.cluster.claim(&id(1), &id(8), Addresses::default()).await?,
        b.cluster.claim(&id(1), &id(9), Addresses::default()).await?,
    );
    b.cluster.close();
    sees(&a, "one machine", |view| view.hosts.len() == 1).await?;
    // what is given away is given away
    loop {
        match a.cluster.claim(&id(1), &id(7), lost).await {
            Err(Error::AddressInUse { .. }) => {}
            claimed => break assert_eq!(claimed?, lost),
        }
    }
    let mut again = asleep(&etcd, dir.path(), "b", 60)?;
    again.cluster.adopt(&id(1), &id(8), endpoint(8, "b", kept))?;
    again.cluster.adopt(&id(1), &id(9), endpoint(9, "b", lost))?;
    again.cluster.start();
    let told = tokio::time::timeout(PATIENCE, again.lost.recv()).await?.context("nothing told")?;
    assert_eq!((told.container, told.holder, told.host.as_str()), (id(9), id(7), "a"));
    sees(&a, "what was kept", |view| view.endpoints(&id(1)).contains_key(id(8).as_str())).await?;
    assert!(!a.cluster.view().endpoints(&id(1)).contains_key(id(9).as_str()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_with_one_id_are_told_apart() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let _a = machine(&etcd, dir.path(), "a").await?;
    let mut other = options(&etcd, dir.path(), "a", 60)?;
    (other.host.address, other.record_dir) = ("192.168.77.99".parse()?, dir.path().join("copy"));
    let (other, _lost) = Cluster::open(other)?;
    other.start();
    let refused = other.ready().await;
    assert!(matches!(refused, Err(Error::HostInUse { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_leaves_takes_everything_along() -> Result<()> {
    let (etcd, _dir, a) = founded().await?;
    a.cluster.claim(&id(1), &id(8), Addresses::default()).await?;
    a.cluster.leave().await?;
    assert_eq!((etcd.count("berth/v1/claims/")?, etcd.count("berth/v1/hosts/")?), (0, 0));
    assert_eq!(etcd.count("berth/v1/networks/")?, 1);
    Ok(())
}
