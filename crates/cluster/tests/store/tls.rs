//! A store that speaks TLS alone.

use super::*;
use cluster::Error;

fn secured(etcd: &Etcd, dir: &Path, name: &str, files: &[(&str, &str)]) -> Result<Options> {
    let mut options = options(etcd, dir, name, 60)?;
    let settings = files.iter().map(|(key, file)| ((*key).to_owned(), etcd.certificate(file))).collect();
    options.store = StoreOptions::parse(&etcd.url(), &settings)?;
    Ok(options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_shown_and_asked_for() -> Result<()> {
    let (etcd, dir) = (Etcd::with_tls()?, tempfile::tempdir()?);
    let all = [("kv.cacertfile", "ca.pem"), ("kv.certfile", "cert.pem"), ("kv.keyfile", "key.pem")];
    let (cluster, lost) = Cluster::open(secured(&etcd, dir.path(), "a", &all)?)?;
    cluster.start();
    let a = Machine { cluster, lost };
    sees(&a, "itself", |view| view.hosts.contains_key("a")).await?;
    a.cluster.create_network(network(1), Some(&[])).await?;

    // without a certificate, with a root that has not signed, and in the clear
    let other = Etcd::with_tls()?;
    let strange = [("kv.cacertfile", other.certificate("ca.pem"))];
    let strange = strange.map(|(key, file)| (key.to_owned(), file)).into();
    for (name, store) in [
        ("b", secured(&etcd, dir.path(), "b", &all[..1])?.store),
        ("c", StoreOptions::parse(&etcd.url(), &strange)?),
        ("d", StoreOptions::parse(&etcd.url(), &Default::default())?),
    ] {
        let (cluster, _lost) = Cluster::open(Options { store, ..options(&etcd, dir.path(), name, 60)? })?;
        cluster.start();
        let refused = cluster.ready().await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{name}: {refused:?}");
        println!("{name}: {}", refused.map_err(|error| error.to_string()).unwrap_err());
    }
    std::fs::write(dir.path().join("none.pem"), "no certificate")?;
    let none = [("kv.cacertfile".to_owned(), dir.path().join("none.pem").display().to_string())].into();
    let store = StoreOptions::parse(&etcd.url(), &none)?;
    let wrong = Cluster::open(Options { store, ..options(&etcd, dir.path(), "e", 60)? });
    assert!(matches!(wrong, Err(Error::Option(_))), "a file without certificates");
    Ok(())
}
