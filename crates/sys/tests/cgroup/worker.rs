//! Processes in cgroups.

use sys::cgroup::{Cgroup, attach_self};
use sys::process::{Child, CloneOptions, Exit, clone3};

/// Starts a process in `cgroup`, the way the runtime does, that runs `work`.
pub(crate) fn start(cgroup: &Cgroup, work: impl FnOnce() -> i32) -> Child {
    let attach = cgroup.self_attach_fds().unwrap();
    let options = CloneOptions { cgroup: cgroup.into_cgroup_fd(), ..CloneOptions::default() };
    let (ready, tell) = rustix::pipe::pipe().unwrap();
    let child = clone3(&options, || {
        if let Err((index, errno)) = attach_self(&attach) {
            println!("hierarchy {index}: {errno}");
            return 99;
        }
        rustix::io::write(&tell, b"r").unwrap();
        work()
    })
    .unwrap();
    rustix::io::read(&ready, &mut [0_u8; 1]).unwrap();
    child
}

/// Sleeps until it is killed.
pub(crate) fn sleep() -> i32 {
    loop {
        let _ = rustix::event::poll(&mut [], None);
    }
}

/// Uses `bytes` of memory.
pub(crate) fn eat(bytes: usize) -> i32 {
    let memory = vec![1_u8; bytes];
    i32::from(std::hint::black_box(&memory)[bytes / 2] != 1)
}

/// Makes a child that sleeps, or says why not.
pub(crate) fn fork_one() -> i32 {
    match clone3(&CloneOptions::default(), sleep) {
        Ok(_) => 0,
        Err(errno) => errno.raw_os_error(),
    }
}

pub(crate) fn end(child: &Child) -> Exit {
    child.wait().unwrap()
}

/// Takes the remains of everything that has ended or is just ending.
pub(crate) fn reap_all() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::empty()) {}
}
