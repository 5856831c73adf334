//! What every driver must do. A driver's test makes an empty storage and calls [`run`].

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, future};

use super::{Entry, Key, Prefix, Storage, StorageError};

/// All of it.
pub(crate) async fn run(storage: &dyn Storage) {
    objects(storage).await;
    ages(storage).await;
    ranges(storage).await;
    listings(storage).await;
    uploads(storage).await;
    finishing(storage).await;
    racing(storage).await;
}

fn key(text: &str) -> Key {
    Key::raw(text)
}

async fn put(storage: &dyn Storage, at: &str, text: &str) {
    storage.put(&key(at), Bytes::from(text.to_owned())).await.unwrap();
}

async fn get(storage: &dyn Storage, at: &str) -> Option<String> {
    let bytes = storage.get(&key(at), 1 << 20).await.unwrap()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn read(storage: &dyn Storage, at: &str, range: std::ops::Range<u64>) -> Vec<u8> {
    let object = storage.open(&key(at)).await.unwrap().unwrap();
    let mut chunks = object.read(range);
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

async fn objects(storage: &dyn Storage) {
    assert_eq!(get(storage, "objects/a/b").await, None);
    assert_eq!(storage.stat(&key("objects/a/b")).await.unwrap(), None);
    assert!(storage.open(&key("objects/a/b")).await.unwrap().is_none());
    assert!(!storage.delete(&key("objects/a/b")).await.unwrap());
    put(storage, "objects/a/b", "one").await;
    assert_eq!(get(storage, "objects/a/b").await.as_deref(), Some("one"));
    put(storage, "objects/a/b", "three").await;
    assert_eq!(get(storage, "objects/a/b").await.as_deref(), Some("three"));
    assert_eq!(storage.stat(&key("objects/a/b")).await.unwrap().unwrap().size, 5);
    // what others begin with is no object
    assert_eq!(storage.stat(&key("objects/a")).await.unwrap(), None);
    assert_eq!(get(storage, "objects/a").await, None);
    assert_eq!(get(storage, "objects/a/b/c").await, None);
    let error = storage.get(&key("objects/a/b"), 4).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { size: 5, limit: 4, .. }), "{error}");
    put(storage, "objects/empty", "").await;
    assert_eq!(get(storage, "objects/empty").await.as_deref(), Some(""));
    assert!(storage.delete(&key("objects/a/b")).await.unwrap());
    assert!(!storage.delete(&key("objects/a/b")).await.unwrap());
    assert_eq!(get(storage, "objects/a/b").await, None);
    assert!(storage.delete(&key("objects/empty")).await.unwrap());
}

async fn ages(storage: &dyn Storage) {
    let (at, hour) = (key("ages/one"), Duration::from_secs(60 * 60));
    let (past, future) = (SystemTime::now() - hour, SystemTime::now() + hour);
    assert!(!storage.touch(&at).await.unwrap());
    assert!(!storage.delete_aged(&at, future).await.unwrap());
    put(storage, "ages/one", "text").await;
    let before = storage.stat(&at).await.unwrap().unwrap();
    assert!(storage.touch(&at).await.unwrap());
    let after = storage.stat(&at).await.unwrap().unwrap();
    assert!(after.modified >= before.modified && after.size == before.size);
    assert_eq!(get(storage, "ages/one").await.as_deref(), Some("text"));
    assert!(!storage.delete_aged(&at, past).await.unwrap());
    assert_eq!(get(storage, "ages/one").await.as_deref(), Some("text"));
    assert!(storage.delete_aged(&at, future).await.unwrap());
    assert_eq!(get(storage, "ages/one").await, None);
    assert!(!storage.touch(&at).await.unwrap());
}

async fn ranges(storage: &dyn Storage) {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    storage.put(&key("ranges/large"), bytes.clone().into()).await.unwrap();
    for range in
        [0..0, 0..1, 1..2, 0..3_000_000, 262_143..262_145, 1_000_000..2_999_999, 2_999_999..3_000_000]
    {
        let expected = &bytes[range.start..range.end];
        assert!(
            read(storage, "ranges/large", range.start as u64..range.end as u64).await == expected,
            "{range:?}"
        );
    }
    storage.delete(&key("ranges/large")).await.unwrap();
}

async fn listings(storage: &dyn Storage) {
    let prefix = Prefix::raw("listings");
    assert!(storage.list(&prefix, None, 10).await.unwrap().is_empty());
    for at in ["a!/x", "a+b!/x", "a-b!/x", "a-b!/y", "file", "z!/deep/deeper"] {
        put(storage, &format!("listings/{at}"), "").await;
    }
    let names = |entries: Vec<Entry>| -> Vec<(String, bool)> {
        entries.into_iter().map(|entry| (entry.name, entry.is_prefix)).collect()
    };
    let all = [("a!", true), ("a+b!", true), ("a-b!", true), ("file", false), ("z!", true)]
        .map(|(name, is_prefix)| (name.to_owned(), is_prefix));
    assert_eq!(names(storage.list(&prefix, None, 10).await.unwrap()), all);
    assert_eq!(names(storage.list(&prefix, None, 2).await.unwrap()), all[..2]);
    assert_eq!(names(storage.list(&prefix, Some("a!"), 2).await.unwrap()), all[1..3]);
    assert_eq!(names(storage.list(&prefix, Some("b"), 10).await.unwrap()), all[3..]);
    assert!(storage.list(&prefix, Some("zz"), 10).await.unwrap().is_empty());
    // a prefix is there as long as something is below it
    storage.delete(&key("listings/z!/deep/deeper")).await.unwrap();
    assert_eq!(names(storage.list(&prefix, None, 10).await.unwrap()), all[..4]);
    for at in ["a!/x", "a+b!/x", "a-b!/x", "a-b!/y", "file"] {
        storage.delete(&key(&format!("listings/{at}"))).await.unwrap();
    }
    assert!(storage.list(&prefix, None, 10).await.unwrap().is_empty());
}

async fn append(storage: &dyn Storage, upload: &Key, offset: u64, text: &str) -> u64 {
    let mut end = storage.upload_append(upload, offset).await.unwrap();
    let (first, second) = text.split_at(text.len() / 2);
    end.write(&[first.to_owned().into(), second.to_owned().into()]).await.unwrap();
    end.close().await.unwrap()
}

async fn uploads(storage: &dyn Storage) {
    let upload = key("uploads/a!/one");
    assert!(storage.upload_stat(&upload).await.unwrap().is_none());
    assert!(matches!(storage.upload_append(&upload, 0).await, Err(StorageError::NoUpload)));
    storage.upload_begin(&upload).await.unwrap();
    assert_eq!(storage.upload_stat(&upload).await.unwrap().unwrap().size, 0);
    let listed = storage.list(&Prefix::raw("uploads/a!"), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["one"]);
    assert_eq!(append(storage, &upload, 0, "hello ").await, 6);
    let error = storage.upload_append(&upload, 5).await.err().unwrap();
    assert!(matches!(error, StorageError::Offset { size: 6, offset: 5 }), "{error}");
    assert!(storage.upload_append(&upload, 7).await.is_err());
    assert_eq!(append(storage, &upload, 6, "world").await, 11);
    // an end that is dropped keeps what it answered for
    let mut end = storage.upload_append(&upload, 11).await.unwrap();
    end.write(&[Bytes::from_static(b"!")]).await.unwrap();
    drop(end);
    let late = async {
        while storage.upload_stat(&upload).await.unwrap().unwrap().size != 12 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), late).await.expect("what was answered for can be found");
    let object = storage.upload_open(&upload).await.unwrap().unwrap();
    let chunks: Vec<_> = object.read(0..12).collect().await;
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    assert_eq!(bytes, b"hello world!");
    assert!(storage.upload_abort(&upload).await.unwrap());
    assert!(!storage.upload_abort(&upload).await.unwrap());
    assert!(storage.upload_stat(&upload).await.unwrap().is_none());
    assert!(storage.list(&Prefix::raw("uploads"), None, 10).await.unwrap().is_empty());
}

async fn finishing(storage: &dyn Storage) {
    let (upload, blob) = (key("uploads/a!/two"), key("blobs/sha256/00/two"));
    assert!(matches!(storage.upload_finish(&upload, &blob).await, Err(StorageError::NoUpload)));
    storage.upload_begin(&upload).await.unwrap();
    append(storage, &upload, 0, "whole").await;
    storage.upload_finish(&upload, &blob).await.unwrap();
    assert_eq!(get(storage, "blobs/sha256/00/two").await.as_deref(), Some("whole"));
    assert!(storage.upload_stat(&upload).await.unwrap().is_none());
    // a second one replaces it, as does one without bytes
    storage.upload_begin(&upload).await.unwrap();
    storage.upload_finish(&upload, &blob).await.unwrap();
    assert_eq!(get(storage, "blobs/sha256/00/two").await.as_deref(), Some(""));
    storage.delete(&blob).await.unwrap();
}

/// Puts and deletes of neighbours don't get into each other's way, though directories come and go.
async fn racing(storage: &dyn Storage) {
    let rounds = (0..8).map(|lane| async move {
        let at = format!("racing/shared/deep/{lane}");
        for _ in 0..25 {
            put(storage, &at, "x").await;
            assert_eq!(get(storage, &at).await.as_deref(), Some("x"));
            assert!(storage.delete(&key(&at)).await.unwrap());
        }
    });
    future::join_all(rounds).await;
    assert!(storage.list(&Prefix::raw("racing"), None, 10).await.unwrap().is_empty());
}
