use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::DriverChoice;

struct Cellar {
    dir: TempDir,
    store: Store,
    key: Digest,
}

impl Cellar {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path(), DriverChoice::Vfs).unwrap();
        Self { store, dir, key: Digest::sha256(b"key") }
    }

    fn wanted(&self, sharing: CacheSharing) -> CacheWanted<'_> {
        CacheWanted { key: &self.key, description: "for a test", sharing }
    }

    fn take(&self, sharing: CacheSharing) -> CacheUse {
        self.store.take_cache(&self.wanted(sharing), &|| false, &|_| Ok(())).unwrap().unwrap()
    }

    fn left(&self) -> usize {
        let count = |name: &str| fs::read_dir(self.dir.path().join(name)).unwrap().count();
        count("tmp") + count("cache-mounts")
    }
}

#[test]
fn files_stay_for_the_next_and_for_the_next_daemon() {
    use CacheSharing::{Locked, Private, Shared};
    let cellar = Cellar::new();
    let first = cellar.take(Shared);
    fs::write(first.path().join("file"), "kept").unwrap();
    drop(first);
    for sharing in [Shared, Private, Locked] {
        assert_eq!(fs::read(cellar.take(sharing).path().join("file")).unwrap(), b"kept");
    }
    let before = cellar.store.cache_mounts().unwrap();
    assert_eq!((before.len(), before[0].uses, before[0].in_use), (1, 3, false));
    assert!(before[0].last_used.unwrap() >= before[0].created && before[0].size >= 4096);

    // as a process that is killed now leaves it, with one that was about to be made and one that was spoilt
    let Cellar { dir, store, key } = cellar;
    drop(store);
    let caches = dir.path().join("cache-mounts");
    fs::create_dir_all(caches.join("spoilt/files")).unwrap();
    fs::write(caches.join("spoilt/cache.json"), b"\0\0").unwrap();
    fs::create_dir_all(dir.path().join("tmp/half/files")).unwrap();
    let store = Store::open(dir.path(), DriverChoice::Vfs).unwrap();
    let cellar = Cellar { dir, store, key };
    assert_eq!(cellar.left(), 1);
    assert_eq!(cellar.store.cache_mounts().unwrap(), before);
    assert_eq!(fs::read(cellar.take(Shared).path().join("file")).unwrap(), b"kept");
}

/// The record as the first release writes it.
#[test]
fn a_record_of_the_first_format_is_read() {
    let dir = TempDir::new().unwrap();
    drop(Store::open(dir.path(), DriverChoice::Vfs).unwrap());
    let cache = dir.path().join("cache-mounts/00ff");
    fs::create_dir_all(cache.join("files")).unwrap();
    let key = Digest::sha256(b"key");
    let record = format!(
        r#"{{"key":"{key}","description":"d","created":"2026-01-02T03:04:05Z","last_used":null,"uses":0}}"#
    );
    fs::write(cache.join("cache.json"), record).unwrap();
    let store = Store::open(dir.path(), DriverChoice::Vfs).unwrap();
    let found = store.cache_mounts().unwrap();
    assert_eq!((found.len(), &*found[0].id, &found[0].key), (1, "00ff", &key));
}

#[test]
fn one_is_shared_and_a_private_one_is_another() {
    let cellar = Cellar::new();
    let (first, second) = (cellar.take(CacheSharing::Shared), cellar.take(CacheSharing::Shared));
    assert_eq!(first.path(), second.path());
    let (third, fourth) = (cellar.take(CacheSharing::Private), cellar.take(CacheSharing::Private));
    assert!(third.path() != first.path() && fourth.path() != third.path());
    drop(first);
    assert!(cellar.store.cache_mounts().unwrap().iter().all(|cache| cache.in_use));
    assert_eq!(cellar.take(CacheSharing::Shared).path(), second.path());
    // nobody shares what another has for itself
    drop(second);
    let alone = cellar.take(CacheSharing::Locked);
    assert!(cellar.take(CacheSharing::Shared).path() != alone.path());
    assert_eq!(cellar.left(), 4);
    let other = CacheWanted { key: &Digest::sha256(b"other"), ..cellar.wanted(CacheSharing::Shared) };
    let other = cellar.store.take_cache(&other, &|| false, &|_| Ok(())).unwrap().unwrap();
    assert!(other.path() != alone.path());
}

#[test]
fn a_locked_one_is_waited_for_until_it_is_free_or_nobody_wants_it() {
    let cellar = &Cellar::new();
    let held = cellar.take(CacheSharing::Locked);
    let path = held.path();
    let given_up = &AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let waits = || {
            let wanted = cellar.wanted(CacheSharing::Locked);
            let asked = || {
                let _ = tell.send(());
                given_up.load(Ordering::SeqCst)
            };
            cellar.store.take_cache(&wanted, &asked, &|_| Ok(())).unwrap()
        };
        let waiter = scope.spawn(waits);
        told.recv().unwrap();
        drop(held);
        let held = waiter.join().unwrap().unwrap();
        assert_eq!(held.path(), path);

        let loser = scope.spawn(waits);
        told.recv().unwrap();
        given_up.store(true, Ordering::SeqCst);
        cellar.store.wake_cache_waiters();
        assert!(loser.join().unwrap().is_none());
        drop(held);
    });
    assert_eq!(cellar.store.cache_mounts().unwrap().len(), 1);
}

#[test]
fn what_can_not_be_filled_leaves_nothing_and_what_is_in_use_stays() {
    let cellar = Cellar::new();
    let wanted = cellar.wanted(CacheSharing::Shared);
    let fails = |_: &Path| Err(std::io::Error::other("no water"));
    let error = cellar.store.take_cache(&wanted, &|| false, &fails).unwrap_err();
    assert!(error.to_string().contains("no water"), "{error}");
    assert_eq!((cellar.left(), cellar.store.cache_mounts().unwrap()), (0, Vec::new()));

    let fill = |path: &Path| fs::write(path.join("first"), "content");
    let held = cellar.store.take_cache(&wanted, &|| false, &fill).unwrap().unwrap();
    assert_eq!(fs::read(held.path().join("first")).unwrap(), b"content");
    let id = cellar.store.cache_mounts().unwrap()[0].id.clone();
    let error = cellar.store.remove_cache_mount(&id).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    let accounts = cellar.store.accounts().unwrap();
    assert!(accounts.cache_mounts() > 0);
    assert_eq!(accounts.cache_mounts() + accounts.rest(), sys::usage::of(cellar.dir.path()).unwrap());
    drop(held);
    assert!(cellar.store.remove_cache_mount(&id).unwrap());
    assert!(!cellar.store.remove_cache_mount(&id).unwrap());
    assert_eq!(cellar.left(), 0);
}
