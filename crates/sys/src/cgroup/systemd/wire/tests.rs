use super::*;

const MANAGER: Target = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// An answer to the call with number `reply_to`, for a bus that is played by a test.
pub(in super::super) fn reply(serial: u32, reply_to: u32, body: &Body) -> Vec<u8> {
    message(2, serial, &[], Some(reply_to), body)
}

/// A refusal.
pub(in super::super) fn refusal(serial: u32, reply_to: u32, name: &str, text: &str) -> Vec<u8> {
    message(3, serial, &[(field::ERROR_NAME, "s", name)], Some(reply_to), &Body::new().string(text))
}

/// A signal.
pub(in super::super) fn signal(serial: u32, member: &str, body: &Body) -> Vec<u8> {
    let fields = [
        (field::PATH, "o", MANAGER.path),
        (field::INTERFACE, "s", MANAGER.interface),
        (field::MEMBER, "s", member),
    ];
    message(4, serial, &fields, None, body)
}

/// The bytes of a call as the specification has them, counted by hand.
#[test]
fn a_call_by_the_byte() {
    let target = Target { destination: "d", path: "/p", interface: "i" };
    let bytes = call(7, &target, "m", &Body::new().string("hi"));
    let want: Vec<u8> = [
        &[b'l', 1, 0, 1, 7, 0, 0, 0, 7, 0, 0, 0][..],
        &[71, 0, 0, 0],
        &[1, 1, b'o', 0, 2, 0, 0, 0, b'/', b'p', 0, 0, 0, 0, 0, 0],
        &[6, 1, b's', 0, 1, 0, 0, 0, b'd', 0, 0, 0, 0, 0, 0, 0],
        &[2, 1, b's', 0, 1, 0, 0, 0, b'i', 0, 0, 0, 0, 0, 0, 0],
        &[3, 1, b's', 0, 1, 0, 0, 0, b'm', 0, 0, 0, 0, 0, 0, 0],
        &[8, 1, b'g', 0, 1, b's', 0, 0],
        &[2, 0, 0, 0, b'h', b'i', 0],
    ]
    .concat();
    assert_eq!(bytes, want);
    assert_eq!(total(bytes.first_chunk().unwrap()), Some(bytes.len()));
}

#[test]
fn properties_by_the_byte() {
    let body = Body::new().properties(&[("D", Value::Bool(true)), ("P", Value::Numbers(vec![9]))]);
    let want: Vec<u8> = [
        &[32, 0, 0, 0, 0, 0, 0, 0][..],
        &[1, 0, 0, 0, b'D', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0],
        &[1, 0, 0, 0, b'P', 0, 2, b'a', b'u', 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0],
    ]
    .concat();
    // The length counts from the first element to the end of the last.
    assert_eq!(body.bytes.0[4..], want[4..]);
    assert_eq!(body.bytes.0[0], 36);
    assert_eq!(body.signature, "a(sv)");
}

#[test]
fn there_and_back() {
    let bytes =
        signal(3, "JobRemoved", &Body::new().number(5).object("/job/5").string("x.scope").string("done"));
    let message = parse(&bytes).unwrap();
    assert_eq!(message.kind, Kind::Signal);
    assert_eq!(message.member.as_deref(), Some("JobRemoved"));
    assert_eq!((message.text(1), message.text(3), message.text(0)), (Some("/job/5"), Some("done"), None));
    let message = parse(&refusal(1, 9, "a.b.C", "no")).unwrap();
    assert_eq!(
        (message.kind, message.reply_to, message.error.as_deref()),
        (Kind::Error, Some(9), Some("a.b.C"))
    );
}

#[test]
fn big_endian_is_understood() {
    let bytes = [
        &[b'B', 2, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 15][..],
        &[5, 1, b'u', 0, 0, 0, 0, 2],
        &[8, 1, b'g', 0, 1, b's', 0, 0],
        &[0, 0, 0, 3, b'a', b'b', b'c', 0],
    ]
    .concat();
    let message = parse(&bytes).unwrap();
    assert_eq!((message.reply_to, message.text(0)), (Some(2), Some("abc")));
}

#[test]
fn broken_messages_are_refused_not_believed() {
    let good =
        signal(3, "JobRemoved", &Body::new().number(5).object("/job/5").string("x.scope").string("done"));
    for len in 0..good.len() {
        assert_eq!(parse(&good[..len]), None, "{len}");
    }
    // Any one byte changed must not lead out of the message.
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            let _ = parse(&bad);
        }
    }
    let mut huge = *good.first_chunk::<PREFIX>().unwrap();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(total(&huge), None);
}
