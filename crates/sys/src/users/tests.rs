use super::*;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# c\nbroken\nanna:x:1000:1001::/home/anna:/bin/sh\n\
    1234:x:77:77::/x:/bin/sh\nhuge:x:4294967295:1::/h:/\nshort:x:5:6\n";
const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:root,anna\nanna:x:1001:\naudio:x:29:anna\n99:x:5:\n";

fn who(spec: &str) -> Result<(u32, u32, Vec<u32>, String), UserError> {
    resolve(spec, PASSWD, GROUP).map(|w| (w.uid, w.gid, w.groups, w.home))
}

#[test]
fn names_numbers_and_nothing() {
    assert_eq!(who(""), Ok((0, 0, vec![10], "/root".into())));
    assert_eq!(who("anna"), Ok((1000, 1001, vec![10, 29], "/home/anna".into())));
    assert_eq!(who("1000"), Ok((1000, 1001, vec![10, 29], "/home/anna".into())));
    assert_eq!(who("anna:wheel"), Ok((1000, 10, vec![], "/home/anna".into())));
    assert_eq!(who("anna:0"), Ok((1000, 0, vec![], "/home/anna".into())));
    assert_eq!(who("4242:4343"), Ok((4242, 4343, vec![], "/".into())));
    assert_eq!(who(":wheel"), Ok((0, 10, vec![], "/root".into())));
    assert_eq!(who("short"), Ok((5, 6, vec![], String::new())));
    assert_eq!(resolve("", b"", b"").unwrap().home, "/");
}

#[test]
fn a_number_is_never_a_name() {
    assert_eq!(who("1234"), Ok((1234, 0, vec![], "/".into())));
    assert_eq!(who("0:99"), Ok((0, 99, vec![], "/root".into())));
}

#[test]
fn what_means_nobody() {
    assert_eq!(who("nobody"), Err(UserError::NoUser("nobody".into())));
    assert_eq!(who("anna:nogroup"), Err(UserError::NoGroup("nogroup".into())));
    for spec in ["4294967296", "2147483648", "-1", "0:4294967296", "0:-1", "99999999999999999999", "huge"] {
        assert_eq!(who(spec), Err(UserError::Range), "{spec}");
    }
    assert_eq!(who("2147483647").unwrap().0, MAX_ID);
}

#[test]
fn additional_groups() {
    assert_eq!(resolve_groups(&["audio", "5000"], GROUP), Ok(vec![29, 5000]));
    assert_eq!(resolve_groups(&["x"], GROUP), Err(UserError::NoGroup("x".into())));
}
