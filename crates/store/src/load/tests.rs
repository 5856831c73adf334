use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{DriverChoice, Store};

fn image_file(name: &str) -> Option<PathBuf> {
    let path = Path::new("/work/shared/images").join(name);
    path.exists().then_some(path)
}

#[test]
fn real_images() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    for name in [
        "alpine-3.20.docker-save.tar",
        "busybox.docker-20.10-save.tar",
        "busybox.docker-save.tar",
        "hello-world.docker-save.tar",
    ] {
        let Some(path) = image_file(name) else { continue };
        let loaded = store.load(&mut File::open(&path).unwrap(), &|_| ()).unwrap();
        assert_eq!(loaded.len(), 1);
        eprintln!("{name}: {loaded:?}");
        let mut out = Vec::new();
        store.save(&[loaded[0].refs[0].familiar()], &mut out).unwrap();
        if !name.contains("20.10") {
            std::fs::write("/tmp/store-out.tar", &out).unwrap();
            if out != std::fs::read(&path).unwrap() {
                eprintln!("{name} differs");
            }
        }
        let snapshot = store.create_snapshot(&format!("c{}", name.replace(' ', "")), &loaded[0].id).unwrap();
        let mount = snapshot.mount().unwrap();
        eprintln!(
            "{:?}",
            rustix::fs::statat(&mount, "bin/sh", rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map(|s| s.st_size)
        );
    }
    drop(store);
    let again = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    eprintln!(
        "{:#?}",
        again.images().iter().map(|i| (i.id.clone(), i.size, i.tags.clone())).collect::<Vec<_>>()
    );
    eprintln!("{:?}", again.driver());
}
