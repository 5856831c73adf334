use tempfile::TempDir;

use super::*;

fn record() -> Record {
    Record {
        description: "[2/3] RUN make".into(),
        kind: Kind::Regular,
        outputs: vec![(0, vec![Digest::sha256(b"a")])],
        created: Timestamp::UNIX_EPOCH,
        used: None,
        uses: 0,
        size: 7,
        added: Some(vec![Digest::sha256(b"a")]),
        parents: Vec::new(),
        note: None,
    }
}

#[test]
fn records_outlive_the_process_and_spoilt_ones_do_not() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
    let index = Index::open(dir.path()).unwrap();
    index.put(&a, record()).unwrap();
    index.put(&b, record()).unwrap();
    index.touch(&a, Timestamp::MAX);
    // only in memory until then
    assert_eq!(Index::open(dir.path()).unwrap().get(&a), Some(record()));
    index.flush().unwrap();
    // what is gone in the meantime does not come back
    index.touch(&b, Timestamp::MAX);
    index.remove(b.hex()).unwrap();
    index.flush().unwrap();
    assert_eq!(Index::open(dir.path()).unwrap().get(&b), None);
    index.put(&b, record()).unwrap();
    std::fs::write(dir.path().join(format!("{}.json", b.hex())), "{").unwrap();
    std::fs::write(dir.path().join(".new-x"), "").unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.get(&a), Some(Record { used: Some(Timestamp::MAX), uses: 1, ..record() }));
    assert_eq!(index.get(&b), None);
    index.remove(a.hex()).unwrap();
    index.remove(a.hex()).unwrap();
    assert!(Index::open(dir.path()).unwrap().all().is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_index_of_a_newer_version_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("version"), "2\n").unwrap();
    let error = Index::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn the_first_version_is_read() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("version"), "1\n").unwrap();
    let key = Digest::sha256(b"k");
    let text = format!(
        r#"{{"description":"d","kind":"regular","outputs":[[0,["{}"]]],"created":"2026-01-02T03:04:05Z","used":null,"uses":0,"size":3,"parents":[]}}"#,
        Digest::sha256(b"a")
    );
    std::fs::write(dir.path().join(format!("{}.json", key.hex())), text).unwrap();
    let record = Index::open(dir.path()).unwrap().get(&key).unwrap();
    assert_eq!((record.size, record.added()), (3, vec![&Digest::sha256(b"a")]));
}
