use std::io::Write;

use oci::{Digest, Platform};

use crate::{
    Archive, Change, Changes, Choice, Error, Image, Limits, NodeId, Scope, Sort, Tree, View, read, report,
};

type Files<'a> = &'a [(&'a str, &'a str)];

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, bytes: &[u8], link: &str) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    header.set_uid(0);
    header.set_gid(0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

/// A tar: `name` with content; a directory by its slash; `=target` is a hard link, `>target` a symbolic one.
fn tar(files: Files<'_>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let kind = match (name.ends_with('/'), text.chars().next()) {
            (true, _) => tar::EntryType::Directory,
            (_, Some('=')) => tar::EntryType::Link,
            (_, Some('>')) => tar::EntryType::Symlink,
            _ => tar::EntryType::Regular,
        };
        let (bytes, link) =
            if kind == tar::EntryType::Regular { (*text, "") } else { ("", text.get(1..).unwrap_or("")) };
        append(&mut tar, name, kind, bytes.as_bytes(), link);
    }
    tar.into_inner().unwrap()
}

fn pack(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        append(&mut tar, name, tar::EntryType::Regular, bytes, "");
    }
    tar.into_inner().unwrap()
}

fn config(layers: &[Vec<u8>], architecture: &str) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    let history: Vec<_> = (0..layers.len())
        .map(|n| serde_json::json!({ "created_by": format!("/bin/sh -c #(nop) COPY {n} /  # buildkit") }))
        .collect();
    serde_json::to_vec(&serde_json::json!({
        "os": "linux", "architecture": architecture, "history": history,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))
    .unwrap()
}

/// As Docker saves it, the manifest last.
fn docker(layers: &[Files<'_>]) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = layers.iter().map(|files| tar(files)).collect();
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = serde_json::json!([{ "Config": "c.json", "RepoTags": ["a:1"], "Layers": names }]);
    let config = config(&layers, "amd64");
    let mut members: Vec<_> = names.into_iter().zip(layers).collect();
    members.push(("c.json".into(), config));
    members.push(("manifest.json".into(), serde_json::to_vec(&manifest).unwrap()));
    pack(&members)
}

fn archive(bytes: &[u8]) -> Archive {
    read(bytes, &Limits::default()).unwrap()
}

fn image(layers: &[Files<'_>]) -> Image {
    Image::choose(&archive(&docker(layers)), &Choice::default(), &Limits::default()).unwrap()
}

fn find(tree: &Tree, path: &str) -> NodeId {
    (0..tree.len() as NodeId).find(|id| tree.path(*id) == path).unwrap_or_else(|| panic!("no {path}"))
}

fn changes(image: &Image, layer: u16) -> Vec<(String, Change)> {
    let tree = &image.tree;
    (1..tree.len() as NodeId)
        .filter(|id| tree.event(*id, layer).is_some())
        .filter_map(|id| Some((tree.path(id), tree.change(id, layer)?)))
        .collect()
}

#[test]
fn each_layer_adds_changes_and_removes() {
    let image = image(&[
        &[("etc/", ""), ("etc/a", "one"), ("etc/b", "same"), ("etc/c", "gone"), ("etc/link", ">a")],
        &[("etc/", ""), ("etc/a", "longer"), ("etc/b", "same"), ("etc/.wh.c", ""), ("etc/new", "n")],
    ]);
    let place = |path: &str, change| (path.to_owned(), change);
    assert_eq!(
        changes(&image, 1),
        [
            place("/etc", Change::Unchanged),
            place("/etc/a", Change::Modified),
            place("/etc/b", Change::Unchanged),
            place("/etc/c", Change::Removed),
            place("/etc/new", Change::Added),
        ]
    );
    let counts: Vec<_> =
        image.layers.iter().map(|l| (l.added, l.modified, l.removed, l.size, l.wasted)).collect();
    assert_eq!(counts, [(5, 0, 0, 11, 11), (1, 1, 1, 11, 0)]);
    assert_eq!(image.layers[0].command, "COPY 0 /");
    // 11 of 22 bytes are shown
    assert_eq!((image.wasted_bytes(), image.efficiency()), (11, 0.5));
    let wasted: Vec<_> = image.wasted.iter().map(|w| (image.tree.path(w.id), w.count, w.bytes)).collect();
    assert_eq!(
        wasted,
        [("/etc/b".to_owned(), 2, 4), ("/etc/c".to_owned(), 1, 4), ("/etc/a".to_owned(), 2, 3)]
    );
}

#[test]
fn whiteouts_hide_what_is_below_and_not_what_is_beside_them() {
    let image = image(&[
        &[("d/", ""), ("d/x", "1"), ("d/s/", ""), ("d/s/y", "22"), ("e/", ""), ("e/z", "333")],
        &[("d/new", "4444"), ("d/.wh..wh..opq", ""), (".wh.e", ""), (".wh.absent", "")],
    ]);
    let tree = &image.tree;
    for (path, there) in
        [("/d", true), ("/d/x", false), ("/d/s", false), ("/d/s/y", false), ("/d/new", true), ("/e/z", false)]
    {
        assert_eq!(tree.at(find(tree, path), 1).is_some(), there, "{path}");
        assert_eq!(tree.at(find(tree, path), 0).is_some(), path != "/d/new", "{path}");
    }
    assert_eq!(image.wasted_bytes(), 6);
    assert_eq!(image.layers[1].removed, 5);
}

#[test]
fn bytes_with_another_name_left_are_not_wasted() {
    let both: Files<'_> = &[("a", "12345"), ("b", "=a")];
    assert_eq!(image(&[both, &[(".wh.a", "")]]).wasted_bytes(), 0);
    let gone = image(&[both, &[(".wh.a", "")], &[(".wh.b", "")]]);
    assert_eq!((gone.wasted_bytes(), gone.size(), gone.efficiency()), (5, 5, 0.0));
    // a directory that becomes a file takes all below it along; the same name twice in one layer is waste, too
    assert_eq!(image(&[&[("d/", ""), ("d/x", "12")], &[("d", "3"), ("d", "4")]]).wasted_bytes(), 3);
}

#[test]
fn a_view_filters_sorts_and_sums() {
    let image = image(&[
        &[("bin/", ""), ("bin/big", "0123456789"), ("etc/", ""), ("etc/a", "1")],
        &[("etc/", ""), ("etc/a", "22"), ("etc/n", "333")],
    ]);
    let tree = &image.tree;
    let closed = std::collections::HashSet::new();
    let show = |scope, changes, sort, wanted: Option<&dyn Fn(&str) -> bool>| -> Vec<String> {
        let view = View::new(tree, 1, scope, changes, wanted);
        let rows = view.rows(tree, &closed, sort);
        rows.iter().map(|row| format!("{} {} {}", row.depth, tree.name(row.id), row.size)).collect()
    };
    let all = show(Scope::Stacked, Changes::ALL, Sort::Size, None);
    assert_eq!(all, ["0 bin 10", "1 big 10", "0 etc 5", "1 n 3", "1 a 2"]);
    let layer = show(Scope::Layer, Changes::ALL, Sort::Name, None);
    assert_eq!(layer, ["0 etc 5", "1 a 2", "1 n 3"]);
    let added = show(Scope::Stacked, Change::Added.into(), Sort::Name, None);
    assert_eq!(added, ["0 etc 3", "1 n 3"]);
    let found = show(Scope::Stacked, Changes::ALL, Sort::Name, Some(&|path| path.ends_with("big")));
    assert_eq!(found, ["0 bin 10", "1 big 10"]);
    let view = View::new(tree, 1, Scope::Stacked, Changes::ALL, None);
    let rows = view.rows(tree, &[find(tree, "/bin")].into(), Sort::Name);
    assert_eq!((rows[0].has_children, rows[1].change), (true, Change::Modified));
    assert_eq!(rows.len(), 4);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An OCI layout of two platforms, and an attestation, whose layers are compressed.
fn layout() -> Vec<u8> {
    let mut members = Vec::new();
    let mut add = |bytes: Vec<u8>| {
        let digest = Digest::sha256(&bytes);
        let size = bytes.len();
        members.push((format!("blobs/sha256/{}", digest.hex()), bytes));
        serde_json::json!({ "digest": digest, "size": size, "mediaType": "x" })
    };
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layers = [tar(&[(architecture, "text")]), tar(&[("top", "t")])];
        let config = add(config(&layers, architecture));
        let blobs = [add(gzip(&layers[0])), add(zstd::encode_all(layers[1].as_slice(), 1).unwrap())];
        let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": blobs });
        manifests.push(add(serde_json::to_vec(&manifest).unwrap()));
    }
    let mut attestation = add(b"{}".to_vec());
    attestation["annotations"] = serde_json::json!({ "vnd.docker.reference.type": "attestation-manifest" });
    manifests.push(attestation);
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": manifests });
    let mut top = add(serde_json::to_vec(&index).unwrap());
    top["annotations"] = serde_json::json!({ "io.containerd.image.name": "docker.io/library/a:1" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [top] });
    members.push(("index.json".into(), serde_json::to_vec(&index).unwrap()));
    pack(&members)
}

#[test]
fn an_oci_layout_has_an_image_for_each_platform() {
    let archive = archive(&layout());
    let choose = |platform: Option<&str>, name| {
        let platform = platform.map(|text| Platform::parse(text).unwrap());
        Image::choose(&archive, &Choice { name, platform }, &Limits::default())
    };
    for architecture in ["amd64", "arm64"] {
        let image = choose(Some(&format!("linux/{architecture}")), Some("a:1")).unwrap();
        assert_eq!(image.platform.architecture, architecture);
        assert_eq!(image.names, ["docker.io/library/a:1"]);
        assert!(image.tree.at(find(&image.tree, &format!("/{architecture}")), 0).is_some());
        assert_eq!(image.layers[1].size, 1);
    }
    let own = choose(None, None).unwrap();
    assert_eq!(own.platform.architecture, Platform::host().architecture);
    let error = choose(Some("linux/s390x"), None).unwrap_err().to_string();
    assert!(error.contains("no image for the platform linux/s390x"), "{error}");
}

#[test]
fn several_images_must_be_told_apart() {
    let layers = [tar(&[("a", "1")])];
    let config = config(&layers, "amd64");
    let entry =
        |name: &str| serde_json::json!({ "Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"] });
    let bytes = pack(&[
        ("c.json".into(), config),
        ("l.tar".into(), layers[0].clone()),
        ("manifest.json".into(), serde_json::to_vec(&[entry("a:1"), entry("b:latest")]).unwrap()),
    ]);
    let archive = archive(&bytes);
    let choose = |name| Image::choose(&archive, &Choice { name, platform: None }, &Limits::default());
    assert_eq!(choose(Some("b")).unwrap().names, ["b:latest"]);
    assert_eq!(
        choose(None).unwrap_err().to_string(),
        "the archive holds several images, name one: a:1, b:latest"
    );
    assert!(choose(Some("c")).unwrap_err().to_string().contains("no image c, but: a:1, b:latest"));
}

#[test]
fn hostile_archives_are_refused() {
    let refused = |bytes: &[u8], limits: &Limits| -> String {
        let outcome = read(bytes, limits).and_then(|a| Image::choose(&a, &Choice::default(), limits));
        outcome.unwrap_err().to_string()
    };
    let limits = Limits::default();
    assert!(refused(b"", &limits).contains("neither manifest.json nor index.json"));
    assert!(refused(&[0xff; 4096], &limits).contains("invalid archive"));
    let whole = docker(&[&[("a", "1")], &[("b", "2")]]);
    assert!(refused(&whole[..whole.len() / 2], &limits).contains("unexpected end"));
    let few = Limits { entries: 1, ..limits };
    assert_eq!(refused(&whole, &few), "number of files in all layers exceeds the limit of 1");
    let short = Limits { names: 1, ..limits };
    assert!(refused(&whole, &short).contains("bytes of all file names"));
    let deep = docker(&[&[("a/b/c/d/e", "")]]);
    let flat = Limits { entries: 4, ..limits };
    assert!(refused(&deep, &flat).contains("number of places"));
    assert!(refused(&docker(&[&[("../x", "")]]), &limits).contains("leaves the root"));
    assert!(refused(&docker(&[&[("a", "=b")]]), &limits).contains("which is not there"));
    let missing = serde_json::json!([{ "Config": "c.json", "Layers": ["x"] }]);
    let config = config(&[tar(&[])], "amd64");
    let bytes =
        pack(&[("c.json".into(), config), ("manifest.json".into(), serde_json::to_vec(&missing).unwrap())]);
    assert_eq!(refused(&bytes, &limits), "invalid image archive: layer x is missing");
    // a bomb: much from little, and no more memory for it than for a name
    let zeros = tar(&[("zeros", &"\0".repeat(1 << 20))]);
    let bomb = pack(&[("l".into(), gzip(&zeros))]);
    let small = Limits { layer: 1 << 10, ..limits };
    assert!(matches!(read(bomb.as_slice(), &small), Err(Error::Tar(_) | Error::Limit { .. })));
}

#[test]
fn the_report_is_json_with_the_names_of_dive() {
    let image = image(&[&[("a", "12345")], &[("a", "1234")]]);
    let mut bytes = Vec::new();
    report::write(&image, &mut bytes).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["image"]["sizeBytes"], 9);
    assert_eq!(json["image"]["inefficientBytes"], 5);
    assert_eq!(json["image"]["fileReference"][0]["file"], "/a");
    assert_eq!(json["layer"][1]["digestId"], image.layers[1].digest);
    assert_eq!(json["layer"][1]["fileList"][0]["change"], "modified");
}
