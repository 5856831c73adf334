//! A filter in force on a real process.

use std::process::Command;

use super::super::*;

/// This test's own program, run again with this set, installs the filter and makes the calls.
const CHILD: &str = "BERTH_SECCOMP_TEST_CHILD";

const POLICY: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],
    "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":77},
    {"names":["kill"],"action":"SCMP_ACT_ERRNO","errnoRet":78,"args":[{"index":1,"value":23,"op":"SCMP_CMP_EQ"}]},
    {"names":["sethostname"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;

#[test]
fn a_child_under_the_filter() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    use std::os::unix::process::ExitStatusExt;
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program)
        .args([
            "--exact",
            "seccomp::tests::force::a_child_under_the_filter",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(31), "SIGSYS by the last call, not a failed assertion before: {status}");
}

fn child() {
    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};
    let filter = compile(&super::policy(POLICY)).unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    assert!(sys::seccomp::install(&filter.program, filter.flags).unwrap().is_none());
    let refused = rustix::fs::mkdir("/tmp/never", rustix::fs::Mode::RWXU).unwrap_err();
    assert_eq!(refused, Errno::from_raw_os_error(77));
    assert_eq!(kill_process(getpid(), Signal::URG).unwrap_err(), Errno::from_raw_os_error(78));
    kill_process(getpid(), Signal::WINCH).unwrap();
    rustix::system::sethostname(b"never").unwrap();
}
