use oci::{Digest, Reference};

use crate::testing::{docker_archive, layer, list, store};
use crate::{DriverChoice, Error, ErrorKind, ImageUse, RemoveOptions, Removed, Store};

fn load(store: &Store, tags: &[&str], layers: &[&[u8]]) -> Digest {
    store.load(&mut &docker_archive(tags, layers)[..], &|_| ()).unwrap().remove(0).id
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn unused(_: &Digest) -> Vec<ImageUse> {
    Vec::new()
}

fn used(running: bool) -> impl Fn(&Digest) -> Vec<ImageUse> {
    move |_| vec![ImageUse { container: "c0ffee".repeat(10) + "0000", running }]
}

const FORCE: RemoveOptions = RemoveOptions { force: true, prune: true };
const PLAIN: RemoveOptions = RemoveOptions { force: false, prune: true };

#[test]
fn resolves_as_docker_does() {
    let (_dir, store) = store();
    let id = load(&store, &["a:1", "a:latest"], &[&layer(&[("f", "1")])]);
    let other = load(&store, &["b:1"], &[&layer(&[("f", "2")])]);
    for name in ["a", "a:1", "library/a", "docker.io/library/a:latest", id.as_str(), id.hex(), id.short()] {
        assert_eq!(store.resolve(name).unwrap(), id, "{name}");
    }
    assert_eq!(store.resolve(&format!("sha256:{}", id.short())).unwrap(), id);
    assert_eq!(store.resolve("nosuch").unwrap_err().to_string(), "No such image: nosuch:latest");
    assert_eq!(store.resolve("a:2").unwrap_err().to_string(), "No such image: a:2");
    assert_eq!(store.resolve("A").unwrap_err().kind(), ErrorKind::Invalid);
    // A name wins over the beginning of an id.
    let beginning = &other.hex()[..4];
    store.tag(&id, &reference(beginning)).unwrap();
    assert_eq!(store.resolve(beginning).unwrap(), id);
    let mut images = vec![id, other];
    for n in 0..40 {
        images.push(load(&store, &[], &[&layer(&[("f", &format!("x{n}"))])]));
    }
    let first = images
        .iter()
        .map(|id| &id.hex()[..1])
        .find(|c| images.iter().filter(|i| i.hex().starts_with(*c)).count() > 1);
    assert!(matches!(store.resolve(first.unwrap()), Err(Error::Ambiguous(_))));
}

#[test]
fn names() {
    let (dir, store) = store();
    let id = load(&store, &["a:1"], &[&layer(&[("f", "1")])]);
    let other = load(&store, &["b:1"], &[&layer(&[("f", "2")])]);
    assert_eq!(store.tag(&id, &reference("c")).unwrap(), None);
    assert_eq!(store.tag(&id, &reference("c:latest")).unwrap(), None);
    assert_eq!(store.tag(&other, &reference("c")).unwrap(), Some(id.clone()));
    assert!(matches!(store.tag(&Digest::sha256(b""), &reference("c")), Err(Error::NoSuchImage(_))));
    drop(store);
    let store = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    let names: Vec<String> = store.image(&other).unwrap().tags.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["b:1", "c:latest"]);
    assert!(store.image(&other).unwrap().last_tagged > store.image(&id).unwrap().last_tagged);
    assert_eq!(store.untag(&reference("c")).unwrap(), other);
    assert!(matches!(store.untag(&reference("c")), Err(Error::NoSuchImage(_))));
}

#[test]
fn describes() {
    let (_dir, store) = store();
    let (lower, upper) = (layer(&[("f", "12")]), layer(&[("g", "345")]));
    let id = load(&store, &["a:1"], &[&lower, &upper]);
    let image = store.image(&id).unwrap();
    assert_eq!((image.size, image.created), (5, 1_704_164_645));
    let history = store.history(&id).unwrap();
    assert_eq!(history.iter().map(|item| item.size).collect::<Vec<_>>(), [3, 2]);
    assert_eq!((history[0].id.as_ref(), history[1].id.as_ref()), (Some(&id), None));
    assert_eq!(history[0].tags, [reference("a:1")]);
    let layers = store.layers(&id).unwrap();
    assert_eq!(layers.diff_ids, [Digest::sha256(&lower), Digest::sha256(&upper)]);
    assert_eq!(layers.graph_driver.name, "overlay2");
    assert!(layers.graph_driver.data["UpperDir"].contains(layers.diff_ids[1].hex()));
}

#[test]
fn removes_names_then_the_image() {
    let (dir, store) = store();
    let (lower, upper) = (layer(&[("f", "1")]), layer(&[("f", "2")]));
    let base = load(&store, &["base:1"], &[&lower]);
    let id = load(&store, &["a:1", "b:1"], &[&lower, &upper]);
    let removed = store.remove("a:1", PLAIN, &used(true)).unwrap();
    assert_eq!(removed, [Removed::Untagged("a:1".into())]);
    let chain = oci::chain::ids(&[Digest::sha256(&lower), Digest::sha256(&upper)]);
    let removed = store.remove("b:1", PLAIN, &unused).unwrap();
    let deleted = [Removed::Untagged("b:1".into()), Removed::Deleted(id), Removed::Deleted(chain[1].clone())];
    assert_eq!(removed, deleted);
    let removed = store.remove(base.short(), PLAIN, &unused).unwrap();
    let deleted =
        [Removed::Untagged("base:1".into()), Removed::Deleted(base), Removed::Deleted(chain[0].clone())];
    assert_eq!(removed, deleted);
    for name in ["layers", "images", "chains", "blobs/sha256"] {
        assert_eq!(list(&dir.path().join("store").join(name)).len(), 0, "{name}");
    }
    assert!(matches!(store.remove("base:1", FORCE, &unused), Err(Error::NoSuchImage(_))));
}

#[test]
fn refuses_in_dockers_words() {
    let (_dir, store) = store();
    let id = load(&store, &["a:1"], &[&layer(&[("f", "1")])]);
    let short = id.short();
    let text = |name: &str, options, uses: &dyn Fn(&Digest) -> Vec<ImageUse>| {
        let error = store.remove(name, options, uses).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        error.to_string()
    };
    assert_eq!(
        text("a:1", PLAIN, &used(false)),
        format!(
            "conflict: unable to remove repository reference \"a:1\" (must force) - container c0ffeec0ffee is using its referenced image {short}"
        )
    );
    assert_eq!(
        text(short, PLAIN, &used(false)),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container c0ffeec0ffee"
        )
    );
    assert_eq!(
        text(short, FORCE, &used(true)),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container c0ffeec0ffee"
        )
    );
    store.tag(&id, &reference("b:1")).unwrap();
    assert_eq!(
        text(short, PLAIN, &unused),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(store.resolve("a:1").unwrap(), id);
    // By force: both names go, and the image.
    let removed = store.remove(short, FORCE, &used(false)).unwrap();
    assert_eq!(removed[..2], [Removed::Untagged("a:1".into()), Removed::Untagged("b:1".into())]);
    assert_eq!(removed[2], Removed::Deleted(id));
}

#[test]
fn a_forced_name_leaves_a_running_containers_image() {
    let (_dir, store) = store();
    let id = load(&store, &["a:1"], &[&layer(&[("f", "1")])]);
    let removed = store.remove("a:1", FORCE, &used(true)).unwrap();
    assert_eq!(removed, [Removed::Untagged("a:1".into())]);
    assert!(store.image(&id).unwrap().tags.is_empty());
}
