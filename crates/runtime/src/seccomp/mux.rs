//! 32-bit x86 has two doors to sockets and System V IPC: the calls themselves, and the older `socketcall(2)`
//! and `ipc(2)`, whose first argument says which. A rule is about both.

/// The older door to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// `socketcall` or `ipc` of 32-bit x86.
    pub(super) number: u32,
    /// The first argument.
    pub(super) call: u64,
}

const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

/// In the order of `SYS_SOCKET` (1) and on (`net.h`).
const SOCKET_CALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// By number (`ipc.h`).
const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The older door of the call `name`.
pub(super) fn door(name: &str) -> Option<Door> {
    let socket = SOCKET_CALLS.iter().zip(1..).find(|(call, _)| **call == name);
    let ipc = || IPC_CALLS.iter().find(|(call, _)| *call == name);
    socket
        .map(|(_, call)| Door { number: SOCKETCALL, call })
        .or_else(|| ipc().map(|&(_, call)| Door { number: IPC, call }))
}
