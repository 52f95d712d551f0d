/**
 * What a container's processes may ask of the kernel, by purpose. What is not here answers EPERM. Left out on purpose:
 * namespaces and mounts, modules, kexec, bpf, perf, keyrings, userfaultfd, io_uring, fanotify, quotas, swap, clocks that
 * would be set, raw ports, tracing, and sockets of the hypervisor (AF_VSOCK) and of the kernel's crypto (AF_ALG).
 */
const SYSCALLS = {
  files: `
    access chdir chmod chown chroot close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync flock fstat fstatfs fsync
    ftruncate futimesat getcwd getdents getdents64 ioctl lchown link linkat lseek lstat mkdir mkdirat mknod mknodat
    newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv rename renameat renameat2 rmdir sendfile splice stat statfs statx symlink symlinkat sync
    sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev cachestat`,
  'extended attributes': `
    fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr
    removexattr setxattr`,
  'watching files': `
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch name_to_handle_at`,
  'waiting for many': `
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit poll ppoll pselect6 select signalfd
    signalfd4 timerfd_create timerfd_gettime timerfd_settime`,
  memory: `
    brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mlock mlock2
    mlockall mmap mprotect mremap msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
    process_mrelease process_madvise remap_file_pages set_mempolicy set_mempolicy_home_node`,
  processes: `
    arch_prctl capget capset execve execveat exit exit_group fork getcpu getpgid getpgrp getpid getppid getpriority
    getrlimit getrusage getsid gettid ioprio_get ioprio_set kcmp landlock_add_rule landlock_create_ruleset
    landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64 rseq sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list
    get_robust_list set_thread_area get_thread_area set_tid_address setpgid setpriority setrlimit setsid sysinfo
    times uname vfork wait4 waitid modify_ldt`,
  identity: `
    getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups setregid
    setresgid setresuid setreuid setuid`,
  signals: `
    kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sigaltstack tgkill tkill`,
  time: `
    adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep
    setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_settime`,
  network: `
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
    sendto setsockopt shutdown socketpair`,
  'between processes': `
    futex futex_requeue futex_wait futex_waitv futex_wake mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 semctl semget semop semtimedop shmat shmctl shmdt
    shmget`,
  other: `
    getrandom`,
}

/**
 * Further calls of a privileged container, which can do with them what it likes to namespaces and mounts of its own. What reaches
 * the kernel as a whole stays out: modules, kexec, bpf, perf, keyrings, userfaultfd, io_uring, the clock, raw ports.
 */
const PRIVILEGED_SYSCALLS = `
  clone fanotify_init fanotify_mark fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree
  pivot_root process_vm_readv process_vm_writev ptrace quotactl setdomainname sethostname setns umount umount2 unshare vhangup`

const EPERM = 1
const ENOSYS = 38
/** Flags of clone(2) that make namespaces. */
const CLONE_NAMESPACES = 0x7e020000
const AF_ALG = 38
const AF_VSOCK = 40
/** Execution domains that only change how addresses look. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

interface SeccompRule {
  names: string[]
  action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO'
  errnoRet?: number
  args?: { index: number; value: number; valueTwo?: number; op: string }[]
}

export interface SeccompProfile {
  defaultAction: string
  defaultErrnoRet: number
  architectures: string[]
  syscalls: SeccompRule[]
}

const allow = (name: string, op: string, value: number, valueTwo?: number): SeccompRule => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args: [{ index: 0, value, op, ...(valueTwo !== undefined && { valueTwo }) }],
})

/** The profile as the OCI runtime specification writes it. Pure. */
export function seccompProfile(arch: 'x64' | 'arm64', isPrivileged = false): SeccompProfile {
  const allowed = [...Object.values(SYSCALLS), ...(isPrivileged ? [PRIVILEGED_SYSCALLS] : [])]
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [arch === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'],
    syscalls: [
      { names: allowed.flatMap((names) => names.trim().split(/\s+/)), action: 'SCMP_ACT_ALLOW' },
      ...(isPrivileged ? [] : [allow('clone', 'SCMP_CMP_MASKED_EQ', CLONE_NAMESPACES, 0)]),
      /* its flags lie in memory a filter cannot read; the C library falls back to clone */
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      allow('socket', 'SCMP_CMP_LT', AF_ALG),
      allow('socket', 'SCMP_CMP_EQ', AF_ALG + 1),
      allow('socket', 'SCMP_CMP_GT', AF_VSOCK),
      ...PERSONALITIES.map((persona) => allow('personality', 'SCMP_CMP_EQ', persona)),
    ],
  }
}
