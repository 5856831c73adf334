//! The store on a directory of its own.

use super::*;

#[test]
fn names_are_judged() {
    for good in ["aa", "a.b_c+d-1", "0x"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "a", "-a", "a/b", "..", "a b", "default", "ä1"] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_stored_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    assert!(store.list().unwrap().is_empty());
    let tls = vec![(DOCKER.to_owned(), vec![("ca.pem".to_owned(), b"x".to_vec())])];
    store.put("far", &meta("far", "a <b>", "tcp://far:1", false), &tls).unwrap();
    let stored = store.get("far").unwrap();
    assert_eq!((stored.about(), stored.docker()), ("a <b>", Some(("tcp://far:1", false))));
    assert_eq!(stored.tls().unwrap(), tls);
    let text = fs::read_to_string(stored.meta_dir.join("meta.json")).unwrap();
    assert_eq!(
        text,
        r#"{"Name":"far","Metadata":{"Description":"a \u003cb\u003e"},"Endpoints":{"docker":{"Host":"tcp://far:1","SkipTLSVerify":false}}}"#
    );
    let mut archive = Vec::new();
    export(&stored, &mut archive).unwrap();
    import(&store, "near", archive.as_slice()).unwrap();
    let near = store.get("near").unwrap();
    assert_eq!((near.docker(), near.tls().unwrap()), (stored.docker(), tls.clone()));
    store.remove("far").unwrap();
    assert!(store.get("far").unwrap_err().to_string().contains("context not found"));
    assert_eq!(store.list().unwrap().len(), 1);
    // keys that are given anew replace all that there were
    store.put("near", &near.meta, &[(DOCKER.to_owned(), Vec::new())]).unwrap();
    assert!(store.get("near").unwrap().tls().unwrap().is_empty());
}

#[test]
fn archives_can_t_write_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    for name in ["tls/../../x", "/etc/x", "tls/docker/sub/x", "other", "tls/docker/.hidden"] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(1);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, b"x".as_slice()).unwrap();
        let refused = import(&store, "aa", tar.into_inner().unwrap().as_slice()).unwrap_err().to_string();
        assert!(
            refused.contains("unexpected context file") || refused.contains("cannot read"),
            "{name}: {refused}"
        );
    }
    assert!(import(&store, "aa", b"PK\x03\x04".as_slice()).unwrap_err().to_string().contains("zip"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn members_are_set_where_they_stand() {
    let mut document: Json = serde_json::from_str(r#"{"b":1,"a":{"x":2},"c":3}"#).unwrap();
    set(&mut document, &["a", "y"], Some(Json::Bool(true)));
    set(&mut document, &["b"], None);
    set(&mut document, &["d", "e"], Some(Json::Null));
    set(&mut document, &["no", "such"], None);
    assert_eq!(document.compact(), r#"{"a":{"x":2,"y":true},"c":3,"d":{"e":null}}"#);
}
