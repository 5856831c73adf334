//! The store goes away, and comes back with all, some or none of what it had.

use std::time::Instant;

use super::*;
use cluster::Error;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_stays_known_and_what_is_new_fails_fast() -> Result<()> {
    let (mut etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let a = machine(&etcd, dir.path(), "a").await?;
    let b = machine(&etcd, dir.path(), "b").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    let got = a.cluster.claim(&id(1), &id(8), Addresses::default()).await?;
    a.cluster.publish(&id(1), &id(8), endpoint(8, "a", got)).await;
    sees(&b, "the endpoint", |view| endpoints(view, 1) == 1).await?;
    etcd.kill()?;
    let begun = Instant::now();
    let refused = a.cluster.claim(&id(1), &id(9), Addresses::default()).await;
    let Err(error @ Error::Unavailable { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains(&etcd.url()), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(endpoints(&a.cluster.view(), 1), 1);
    assert!(matches!(a.cluster.create_network(network(2), Some(&[])).await, Err(Error::Unavailable { .. })));
    // what is given back meanwhile is given back when the store is there again
    a.cluster.release(&id(1), &id(8));
    etcd.resume()?;
    sees(&b, "no endpoint", |view| endpoints(view, 1) == 0).await?;
    e2e::programs::eventually("no claim", || Ok((etcd.count("berth/v1/claims/")? == 0).then_some(())))?;
    retry(async || a.cluster.claim(&id(1), &id(9), Addresses::default()).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_is_no_reason_to_hang() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let a = machine(&etcd, dir.path(), "a").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    etcd.freeze(true)?;
    let begun = Instant::now();
    let refused = a.cluster.claim(&id(1), &id(9), Addresses::default()).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    etcd.freeze(false)?;
    retry(async || a.cluster.claim(&id(1), &id(9), Addresses::default()).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_forgotten_is_read_anew() -> Result<()> {
    let (mut etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let a = machine(&etcd, dir.path(), "a").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    let mut updates = a.cluster.updates();
    updates.next().await.context("the first")?;
    etcd.kill()?;
    // while nobody watches, much happens, and is forgotten
    etcd.resume()?;
    for number in 0..50 {
        etcd.put(
            "berth/v1/hosts/other",
            &format!(r#"{{"id":"other","name":"{number}","address":"10.1.1.1"}}"#),
        )?;
    }
    etcd.compact()?;
    sees(&a, "the other machine", |view| view.hosts.get("other").is_some_and(|other| other.name == "49"))
        .await?;
    a.cluster.create_network(network(2), Some(&[])).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_lost_everything_gets_back_what_lives() -> Result<()> {
    let (mut etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let mut a = machine(&etcd, dir.path(), "a").await?;
    let made = a.cluster.create_network(network(1), Some(&[])).await?;
    let got = a.cluster.claim(&id(1), &id(8), Addresses::default()).await?;
    a.cluster.publish(&id(1), &id(8), endpoint(8, "a", got)).await;
    let b = machine(&etcd, dir.path(), "b").await?;
    a.cluster.create_network(network(2), Some(&[])).await?;
    sees(&b, "both networks", |view| view.networks.len() == 2).await?;
    etcd.wipe()?;
    retry(async || a.cluster.ready().await).await?;
    for machine in [&a, &b] {
        sees(machine, "what there was", |view| {
            let same = view.networks.get(&id(1)).is_some_and(|seen| **seen == made);
            same && view.networks.len() == 2 && view.hosts.len() == 2 && endpoints(view, 1) == 1
        })
        .await?;
    }
    e2e::programs::eventually("its claim", || Ok((etcd.count("berth/v1/claims/")? == 1).then_some(())))?;
    assert!(a.lost.try_recv().is_err(), "nobody has taken it");
    let again = retry(async || b.cluster.claim(&id(1), &id(9), got).await).await;
    assert!(again.is_err_and(|error| error.to_string().contains("already in use")));
    a.cluster.release(&id(1), &id(8));
    retry(async || a.cluster.claim(&id(1), &id(8), got).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_somebody_takes_out_are_written_again() -> Result<()> {
    let (etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    let mut a = machine(&etcd, dir.path(), "a").await?;
    a.cluster.create_network(network(1), Some(&[])).await?;
    let got = a.cluster.claim(&id(1), &id(8), Addresses::default()).await?;
    a.cluster.publish(&id(1), &id(8), endpoint(8, "a", got)).await;
    let ip = got.ip.context("no address")?;
    etcd.delete(&format!("berth/v1/claims/{}/{ip}", id(1)))?;
    etcd.delete(&format!("berth/v1/endpoints/{}/{}", id(1), id(8)))?;
    let whole =
        || etcd.count("berth/v1/claims/").and_then(|claims| Ok((claims, etcd.count("berth/v1/endpoints/")?)));
    e2e::programs::eventually("both again", || Ok((whole()? == (1, 1)).then_some(())))?;
    assert!(a.lost.try_recv().is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_without_the_store_goes_on_when_it_comes() -> Result<()> {
    let (mut etcd, dir) = (Etcd::start()?, tempfile::tempdir()?);
    etcd.kill()?;
    let a = asleep(&etcd, dir.path(), "a", 60)?;
    a.cluster.start();
    assert!(matches!(a.cluster.ready().await, Err(Error::Unavailable { .. })));
    assert!(!a.cluster.is_up());
    etcd.resume()?;
    sees(&a, "itself", |view| view.hosts.contains_key("a")).await?;
    Ok(())
}
