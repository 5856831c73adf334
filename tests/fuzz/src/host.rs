//! What the engine's own processes hear: the shim, the resolver; and what is asked of the kernel: system call filters
//! and mounts.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;

use network::Verdict;
use runtime::seccomp::{Machine, compile_for};
use shim::protocol::{ClientFrame, FrameReader, MAX_FRAME, ServerFrame};

/// Bytes on the shim's socket: frames come out as they went in, whatever pieces they came in.
pub(crate) fn shim(data: &[u8]) {
    let Ok((mut near, far)) = UnixStream::pair() else { return };
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    for piece in data.chunks(1500) {
        if std::io::Write::write_all(&mut near, piece).is_err() || reader.fill(&far, false).is_err() {
            return;
        }
        while let Ok(Some(frame)) = reader.next_frame() {
            frames.push(frame);
        }
    }
    let mut rest = data;
    let mut expected = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME || after.len() < length {
            break;
        }
        expected.push(after[..length].to_vec());
        rest = &after[length..];
    }
    assert!(frames == expected, "{} frames were sent, {} came", expected.len(), frames.len());
    for frame in frames {
        if let Ok(asked) = serde_json::from_slice::<ClientFrame>(&frame) {
            same(&asked);
        }
        if let Ok(said) = serde_json::from_slice::<ServerFrame>(&frame) {
            same(&said);
        }
    }
    let _ = std::str::from_utf8(data).map(shim::detach::parse);
}

/// What was read is the same when it is written, read and written again.
fn same<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) {
    let written = serde_json::to_vec(value).unwrap_or_default();
    let again: Option<T> = serde_json::from_slice(&written).ok();
    let again = again.and_then(|again| serde_json::to_vec(&again).ok());
    assert!(again.as_ref() == Some(&written), "{} is not read again", String::from_utf8_lossy(&written));
}

/// A question for a name. Answers are well-formed, no longer than allowed, and the question's.
pub(crate) fn dns(data: &[u8]) {
    let Some((how, query)) = data.split_first() else { return };
    let (stream, internal) = (how & 1 != 0, how & 2 != 0);
    match network::fuzzing::dns(query, usize::from(how >> 2), stream, internal) {
        Verdict::Answer(answer) => well_formed(query, &answer, stream),
        Verdict::Forward => {
            assert!(!internal, "a question has left an internal network");
            well_formed(query, &network::failure(query), stream);
        }
        Verdict::Drop => assert!(query.len() < 12 || query[2] & 0x80 != 0, "a question is not answered"),
    }
}

fn well_formed(query: &[u8], answer: &[u8], stream: bool) {
    assert!(
        answer.len() >= 12 && answer.len() <= if stream { 65_535 } else { 4096 },
        "{} bytes",
        answer.len()
    );
    assert_eq!(answer[..2], query[..2], "another question's answer");
    assert!(answer[2] & 0x80 != 0, "no answer");
    let count = |at: usize| usize::from(u16::from_be_bytes([answer[at], answer[at + 1]]));
    let mut at = 12;
    for _ in 0..count(4) {
        at = name(answer, at) + 4;
    }
    for _ in 0..count(6) + count(8) + count(10) {
        at = name(answer, at);
        at += 10 + usize::from(u16::from_be_bytes([answer[at + 8], answer[at + 9]]));
    }
    assert_eq!(at, answer.len(), "the records do not end where the answer does");
}

/// Where the name ends that begins here.
fn name(message: &[u8], mut at: usize) -> usize {
    while message[at] != 0 {
        if message[at] >= 0xc0 {
            return at + 2;
        }
        at += 1 + usize::from(message[at]);
    }
    at + 1
}

/// A profile in Docker's format, compiled. The kernel would take the program, and whatever is called, the program ends
/// with an action that the profile has.
pub(crate) fn seccomp(data: &[u8]) {
    let Ok(profile) = std::str::from_utf8(data) else { return };
    for capabilities in [&[][..], &["CAP_SYS_ADMIN", "CAP_NET_RAW"]] {
        let capabilities: BTreeSet<_> = capabilities.iter().map(|name| (*name).to_owned()).collect();
        for machine in [Machine::X86_64, Machine::Aarch64] {
            let Ok(policy) = engine::fuzzing::seccomp(profile, &capabilities, machine, (6, 1)) else {
                continue;
            };
            let Ok(compiled) = compile_for(&policy, machine) else { continue };
            let program: Vec<_> =
                compiled.program.iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect();
            verify(&program);
            for number in [0, 1, 56, 59, 101, 435, 0x4000_0000, u32::MAX] {
                for arch in [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 0] {
                    for argument in [0, 1, u64::MAX] {
                        walk(&program, number, arch, argument);
                    }
                }
            }
        }
    }
}

type Step = (u16, u8, u8, u32);

/// The kernel's own check (`bpf_check_classic`, `seccomp_check_filter`), as far as our instructions go.
fn verify(program: &[Step]) {
    assert!(!program.is_empty() && program.len() <= 4096, "{} instructions", program.len());
    for (at, (code, yes, no, k)) in program.iter().enumerate() {
        match code {
            0x20 => assert!(k % 4 == 0 && *k < 64, "a load outside of the data"),
            0x54 | 0x06 => {}
            0x05 => assert!(at + 1 + (*k as usize) < program.len(), "a jump out of the program"),
            0x15 | 0x25 | 0x35 | 0x45 => {
                assert!(at + 1 + usize::from(*yes.max(no)) < program.len(), "a jump out of the program");
            }
            other => unreachable!("instruction {other:#x}"),
        }
    }
    assert!(program.last().is_some_and(|step| step.0 == 0x06), "the program does not end with an action");
}

/// Jumps only go on, and so the program ends: this finds whether where it ends is an action.
fn walk(program: &[Step], number: u32, arch: u32, argument: u64) {
    let word = |offset: u32| match offset / 4 {
        0 => number,
        1 => arch,
        2 | 3 => 0,
        index if index % 2 == 0 => argument as u32,
        _ => (argument >> 32) as u32,
    };
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let (code, yes, no, k) = program[at];
        let jump = |holds: bool| usize::from(if holds { yes } else { no });
        at += 1;
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            _ => {
                let actions =
                    [0, 0x8000_0000, 0x3_0000, 0x5_0000, 0x7fc0_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000];
                assert!(actions.contains(&(k & 0xffff_0000)), "{k:#x} is no action");
                return;
            }
        }
    }
}

/// `--mount`, `-v`, `-p`, `--expose`, `--tmpfs`, sizes and spans: what is taken makes sense.
pub(crate) fn mount(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(mount) = cli::fuzzing::mount(text) {
        assert!(!mount.target.is_empty() && !mount.kind.is_empty());
        let written = serde_json::to_string(&mount).unwrap_or_default();
        assert!(serde_json::from_str(&written).is_ok_and(|again: api::container::Mount| again == mount));
    }
    if let Ok(Some(source)) = cli::fuzzing::volume(text) {
        assert!(text.starts_with(source) && !source.is_empty());
    }
    if let Ok(ports) = cli::fuzzing::publish(text) {
        assert!(!ports.is_empty() && ports.len() <= 65_536);
        for (port, _, host) in ports.iter().take(50) {
            let inner = oci::ports::parse(port);
            assert!(inner.is_ok() || port.starts_with("0/"), "{text:?} publishes {port:?}");
            let ends: Vec<_> = host.split('-').map(str::parse::<u16>).collect();
            assert!(host.is_empty() || ends.iter().all(Result::is_ok), "{text:?} publishes at {host:?}");
        }
    }
    let _ = (cli::fuzzing::expose(text), cli::fuzzing::numbers(text));
    if let Ok(fields) = cli::fuzzing::csv(text) {
        // Written with quotes around each, it is read again.
        let quoted: Vec<_> =
            fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        assert_eq!(cli::fuzzing::csv(&quoted.join(",")).as_ref(), Ok(&fields), "of {text:?}");
    }
    if let Ok(path) = engine::fuzzing::clean_path(text) {
        assert!(path.starts_with('/') && path.len() <= text.len().max(1));
        assert!(
            path == "/" || !path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")),
            "{path:?}"
        );
        assert_eq!(engine::fuzzing::clean_path(&path).ok(), Some(path));
    }
    if let Ok(words) = engine::fuzzing::tmpfs(text) {
        let again = engine::fuzzing::tmpfs(&words.join(","));
        assert_eq!(again.ok(), Some(words), "of {text:?}");
    }
    let _ = engine::fuzzing::volume_mode(text);
}
