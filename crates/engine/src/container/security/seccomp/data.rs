//! Docker's default policy as data: which system calls a container may make, by theme, and which more
//! with a capability (docs.docker.com, "Seccomp security profiles for Docker").
//!
//! What is not listed returns `EPERM`; what is newer than everything listed returns `ENOSYS`.

/// Always allowed. Left out on purpose: `keyctl` and its kin (keys have no namespace), `userfaultfd`,
/// `io_uring_*` (a steady source of kernel holes), `kexec_*`, modules, `swapon`, `nfsservctl` and other
/// relics, and what only an administrator needs (below, by capability).
pub(super) const ALWAYS: [&str; 14] = [
    // Files and directories by name.
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat fstatat64 futimesat \
     getcwd lchown lchown32 link linkat lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open \
     openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink \
     symlinkat truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes listmount statmount",
    // Extended attributes.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr \
     lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // Open files.
    "_llseek cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fchdir fchmod \
     fchown fchown32 fcntl fcntl64 fdatasync flock fstat fstat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 getdents \
     getdents64 ioctl lseek pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile \
     sendfile64 splice sync sync_file_range syncfs tee vmsplice write writev",
    // Waiting for files.
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
     eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch poll ppoll \
     ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4",
    // Asynchronous input and output of the older kind.
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set",
    // Sockets, once made (`socket` itself is conditional).
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 \
     recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair",
    // Messages, semaphores and memory shared between processes.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
     mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget",
    // Memory.
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect \
     mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages",
    // Processes and threads.
    "execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid \
     getpriority getrusage getsid gettid kill pause pidfd_open pidfd_send_signal prctl restart_syscall riscv_hwprobe rseq \
     set_robust_list set_thread_area set_tid_address setpgid setpriority setsid tgkill tkill uretprobe vfork wait4 waitid \
     waitpid",
    // Locks.
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake",
    // Scheduling and limits.
    "getrlimit prlimit64 sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
     sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr \
     sched_setparam sched_setscheduler sched_yield setrlimit ugetrlimit",
    // Signals.
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
     rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn",
    // Users, groups, capabilities, and giving up rights.
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 \
     getresuid getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp \
     setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid \
     setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    // Clocks, timers, chance, and what the system is.
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
     clock_nanosleep clock_nanosleep_time64 getitimer getrandom gettimeofday nanosleep setitimer sysinfo time \
     timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 \
     timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times uname",
];

/// Tracing other processes: safe for the filter since Linux 4.8 (a tracer could change a call after it
/// was judged).
pub(super) const SINCE_LINUX_4_8: &str = "process_vm_readv process_vm_writev ptrace";

/// Calls of one kind of processor.
pub(super) const X86_64: &str = "arch_prctl modify_ldt";
/// Calls of one kind of processor, with its 32-bit ABI's.
pub(super) const AARCH64: &str =
    "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2";

/// Allowed to whoever has the capability.
pub(super) const BY_CAPABILITY: [(&str, &str); 14] = [
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    ("CAP_SYSLOG", "syslog"),
    (
        SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
];

/// With it, `clone` and `clone3` are unconditional.
pub(super) const SYS_ADMIN: &str = "CAP_SYS_ADMIN";

/// `CLONE_NEW*` of all namespaces: without `CAP_SYS_ADMIN`, `clone` may ask for none. `clone3` keeps its flags in
/// memory, out of a filter's sight, and is answered with `ENOSYS`, on which programs fall back to `clone`.
pub(super) const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// Address families below this one may have sockets,
pub(super) const FAMILIES_BELOW: u64 = 12;
/// and these. Left out: those that reach past the container's own network (`AF_VSOCK` 40, to the hypervisor), the kernel's
/// cryptography (`AF_ALG` 38), and families that are gone or seldom audited.
pub(super) const FAMILIES: [u64; 25] =
    [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

/// Execution domains that may be chosen: Linux and its 32-bit form, each with or without `UNAME26`; all bits only ask.
pub(super) const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
