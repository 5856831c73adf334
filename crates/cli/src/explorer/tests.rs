use explore::{Archive, Choice, Image, Limits};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::draw;
use super::keys::{Key, Keys};
use super::state::Explorer;

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        let dir = name.ends_with('/');
        header.set_entry_type(if dir { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_mode(if dir { 0o755 } else { 0o4644 });
        header.set_size(bytes.len() as u64);
        header.set_path(name).unwrap();
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn image() -> Image {
    let layers = [
        tar(&[
            ("bin/", b""),
            ("bin/tool", &[0; 2000]),
            ("etc/", b""),
            ("etc/conf", &[1; 300]),
            ("etc/old", &[2; 50]),
        ]),
        tar(&[("etc/", b""), ("etc/conf", &[3; 400]), ("etc/.wh.old", b""), ("etc/new\x1b[2J", &[4; 10])]),
    ];
    let diff_ids: Vec<_> = layers.iter().map(|layer| oci::Digest::sha256(layer)).collect();
    let config = serde_json::json!({
        "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": [{ "created_by": "FROM base" }, { "created_by": "RUN change" }],
    });
    let manifest = serde_json::json!([{ "Config": "c", "RepoTags": ["a:1"], "Layers": ["0", "1"] }]);
    let (config, manifest) = (serde_json::to_vec(&config).unwrap(), serde_json::to_vec(&manifest).unwrap());
    let bytes = tar(&[("0", &layers[0]), ("1", &layers[1]), ("c", &config), ("manifest.json", &manifest)]);
    let archive: Archive = explore::read(bytes.as_slice(), &Limits::default()).unwrap();
    Image::choose(&archive, &Choice::default(), &Limits::default()).unwrap()
}

fn screen(explorer: &mut Explorer<'_>, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(explorer, frame)).unwrap();
    terminal.backend().to_string()
}

fn press(explorer: &mut Explorer<'_>, keys: &str) {
    Keys::default().feed(keys.as_bytes()).into_iter().for_each(|key| explorer.press(key));
}

const DOWN: &str = "\x1b[B";

#[test]
fn bytes_become_keys() {
    let mut keys = Keys::default();
    assert_eq!(
        keys.feed(b"q\x1b[A\x1bOB\t\x1b[Z"),
        [Key::Char('q'), Key::Up, Key::Down, Key::Tab, Key::BackTab]
    );
    assert_eq!(
        keys.feed(b"\x1b[5~\x1b[1;5C\x03\x7f"),
        [Key::PageUp, Key::Right, Key::Ctrl('c'), Key::Backspace]
    );
    // what a slow line splits
    assert_eq!(keys.feed(b"\x1b"), []);
    assert!(keys.is_open());
    assert_eq!(keys.feed(b"["), []);
    assert_eq!(keys.feed(b"H\xc3"), [Key::Home]);
    assert_eq!(keys.feed(b"\xa9"), [Key::Char('é')]);
    assert_eq!(keys.feed(b"\x1b"), []);
    assert_eq!(keys.close(), [Key::Escape]);
    assert_eq!(keys.feed(b"\xff\x1b[99999999999999999999"), []);
    assert!(!keys.is_open());
}

#[test]
fn the_screen_has_layers_tree_details_and_keys() {
    let image = image();
    let mut explorer = Explorer::new(&image);
    let first = screen(&mut explorer, 120, 30);
    let words = [
        "Layers (2)",
        "FROM base",
        "RUN change",
        "all layers up to this",
        "+ drwxr-xr-x       0:0     2kB ▾ bin/",
    ];
    for words in [&words[..], &["-rwSr--r--", "q quit", "efficiency 87.32%"]].concat() {
        assert!(first.contains(words), "no {words:?} in\n{first}");
    }
    press(&mut explorer, DOWN);
    let second = screen(&mut explorer, 120, 30);
    for words in [
        "+1 ~1 -1",
        "~ -rwSr--r--       0:0    400B     conf",
        "- -rwSr--r--       0:0     50B     old",
        "350B wasted",
    ] {
        assert!(second.contains(words), "no {words:?} in\n{second}");
    }
    // what is removed is listed, and not part of its directory any more
    assert!(second.contains("410B ▾ etc/") && second.contains("2.76kB in all, 2.41kB shown"), "{second}");
    // names don't reach the terminal as commands
    assert!(!second.contains('\x1b') && second.contains("new\u{fffd}[2J"), "{second}");
}

#[test]
fn filters_scope_sort_and_folding() {
    let image = image();
    let mut explorer = Explorer::new(&image);
    let names = |explorer: &Explorer<'_>| -> Vec<String> {
        explorer.rows.iter().map(|row| image.tree.name(row.id).replace("\x1b[2J", "")).collect()
    };
    assert_eq!(names(&explorer), ["bin", "tool", "etc", "conf", "old"]);
    press(&mut explorer, "j");
    assert_eq!(names(&explorer), ["bin", "tool", "etc", "conf", "new", "old"]);
    press(&mut explorer, "u");
    assert_eq!(names(&explorer), ["etc", "conf", "new", "old"]);
    press(&mut explorer, "r");
    assert_eq!(names(&explorer), ["etc", "conf", "new"]);
    press(&mut explorer, "url");
    assert_eq!(names(&explorer), ["etc", "conf", "new", "old"]);
    press(&mut explorer, "ls");
    assert_eq!(names(&explorer), ["bin", "tool", "etc", "conf", "old", "new"]);
    // a directory closed, by its key and by the arrow, and the way to the directory above
    press(&mut explorer, "\tg ");
    assert_eq!(names(&explorer), ["bin", "etc", "conf", "old", "new"]);
    press(&mut explorer, "\x1b[C");
    press(&mut explorer, "jjj");
    assert_eq!(explorer.tree.at, 3);
    press(&mut explorer, "\x1b[D");
    assert_eq!(explorer.tree.at, 2);
    press(&mut explorer, "c");
    assert_eq!(names(&explorer), ["bin", "etc"]);
    press(&mut explorer, "G");
    press(&mut explorer, "c");
    assert_eq!(explorer.tree.at, 2);
    press(&mut explorer, "armu");
    assert!(explorer.rows.is_empty());
    assert!(screen(&mut explorer, 100, 20).contains("all is filtered out"));
    press(&mut explorer, "jk \x1b[5~");
}

#[test]
fn a_search_by_pattern_or_by_part() {
    let image = image();
    let mut explorer = Explorer::new(&image);
    press(&mut explorer, "c/^/ETC/.*f$");
    assert!(explorer.rows.is_empty() && explorer.typing);
    press(&mut explorer, "\x15^/etc/.*f$\r");
    assert_eq!(explorer.rows.len(), 2);
    assert!(screen(&mut explorer, 120, 30).contains("/^/etc/.*f$"));
    // not a regular expression: a part of the path; and what was closed is closed again after it
    press(&mut explorer, "/\x15[");
    assert!(explorer.rows.is_empty());
    Keys::default().close();
    explorer.press(Key::Escape);
    assert_eq!((explorer.rows.len(), explorer.typing), (2, false));
    press(&mut explorer, "q");
    assert!(explorer.is_done());
}

#[test]
fn from_what_is_wasted_to_its_place() {
    let image = image();
    let mut explorer = Explorer::new(&image);
    press(&mut explorer, "c\t\t\r");
    let row = explorer.rows[explorer.tree.at];
    assert_eq!((image.tree.path(row.id), explorer.layer()), ("/etc/conf".to_owned(), 1));
}

#[test]
fn any_size_is_drawn() {
    let image = image();
    let mut explorer = Explorer::new(&image);
    for (columns, rows) in [(1, 1), (2, 3), (20, 5), (59, 10), (60, 4), (80, 24), (300, 100)] {
        for _pane in 0..3 {
            screen(&mut explorer, columns, rows);
            press(&mut explorer, "\t\x1b[6~");
        }
    }
    assert!(screen(&mut explorer, 40, 10).contains("Layers"), "a narrow screen shows the pane that is used");
}
