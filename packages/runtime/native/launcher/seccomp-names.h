// Docker's default policy, reduced to its default capabilities: the calls that are always allowed. Each name becomes
// `CALL(name)`; one that an architecture does not have is left out at run time.
// Source: the default profile of the moby project (moby/profiles, seccomp/default.json), read 2026-07.
// clang-format off

// Files and directories
CALL(access) CALL(chdir) CALL(chmod) CALL(chown) CALL(chown32) CALL(chroot) CALL(close) CALL(close_range) CALL(copy_file_range)
CALL(creat) CALL(dup) CALL(dup2) CALL(dup3) CALL(faccessat) CALL(faccessat2) CALL(fadvise64) CALL(fadvise64_64)
CALL(fallocate) CALL(fchdir) CALL(fchmod) CALL(fchmodat) CALL(fchmodat2) CALL(fchown) CALL(fchown32) CALL(fchownat)
CALL(fcntl) CALL(fcntl64) CALL(fdatasync) CALL(flock) CALL(fstat) CALL(fstat64) CALL(fstatat64) CALL(fstatfs)
CALL(fstatfs64) CALL(fsync) CALL(ftruncate) CALL(ftruncate64) CALL(futimesat) CALL(getcwd) CALL(getdents)
CALL(getdents64) CALL(ioctl) CALL(lchown) CALL(lchown32) CALL(link) CALL(linkat) CALL(listmount) CALL(_llseek)
CALL(lseek) CALL(lstat) CALL(lstat64) CALL(mkdir) CALL(mkdirat) CALL(mknod) CALL(mknodat) CALL(name_to_handle_at)
CALL(newfstatat) CALL(open) CALL(openat) CALL(openat2) CALL(pread64) CALL(preadv) CALL(preadv2) CALL(pwrite64)
CALL(pwritev) CALL(pwritev2) CALL(read) CALL(readahead) CALL(readlink) CALL(readlinkat) CALL(readv) CALL(rename)
CALL(renameat) CALL(renameat2) CALL(rmdir) CALL(sendfile) CALL(sendfile64) CALL(splice) CALL(stat) CALL(stat64)
CALL(statfs) CALL(statfs64) CALL(statmount) CALL(statx) CALL(symlink) CALL(symlinkat) CALL(sync)
CALL(sync_file_range) CALL(syncfs) CALL(tee) CALL(truncate) CALL(truncate64) CALL(umask) CALL(unlink) CALL(unlinkat)
CALL(utime) CALL(utimensat) CALL(utimensat_time64) CALL(utimes) CALL(vmsplice) CALL(write) CALL(writev) CALL(cachestat)
// Extended attributes
CALL(fgetxattr) CALL(flistxattr) CALL(fremovexattr) CALL(fsetxattr) CALL(getxattr) CALL(getxattrat) CALL(lgetxattr)
CALL(listxattr) CALL(listxattrat) CALL(llistxattr) CALL(lremovexattr) CALL(lsetxattr) CALL(removexattr)
CALL(removexattrat) CALL(setxattr) CALL(setxattrat)
// Waiting for files and events
CALL(epoll_create) CALL(epoll_create1) CALL(epoll_ctl) CALL(epoll_ctl_old) CALL(epoll_pwait) CALL(epoll_pwait2)
CALL(epoll_wait) CALL(epoll_wait_old) CALL(eventfd) CALL(eventfd2) CALL(fanotify_mark) CALL(inotify_add_watch)
CALL(inotify_init) CALL(inotify_init1) CALL(inotify_rm_watch) CALL(io_cancel) CALL(io_destroy) CALL(io_getevents)
CALL(io_pgetevents) CALL(io_pgetevents_time64) CALL(io_setup) CALL(io_submit) CALL(_newselect) CALL(poll) CALL(ppoll)
CALL(ppoll_time64) CALL(pselect6) CALL(pselect6_time64) CALL(select) CALL(pipe) CALL(pipe2)
// Memory
CALL(brk) CALL(madvise) CALL(map_shadow_stack) CALL(membarrier) CALL(memfd_create) CALL(memfd_secret) CALL(mincore)
CALL(mlock) CALL(mlock2) CALL(mlockall) CALL(mmap) CALL(mmap2) CALL(mprotect) CALL(mremap) CALL(mseal) CALL(msync)
CALL(munlock) CALL(munlockall) CALL(munmap) CALL(pkey_alloc) CALL(pkey_free) CALL(pkey_mprotect)
CALL(remap_file_pages) CALL(shmat) CALL(shmctl) CALL(shmdt) CALL(shmget)
// Processes, threads and signals
CALL(alarm) CALL(capget) CALL(capset) CALL(execve) CALL(execveat) CALL(exit) CALL(exit_group) CALL(fork) CALL(futex)
CALL(futex_requeue) CALL(futex_time64) CALL(futex_wait) CALL(futex_waitv) CALL(futex_wake) CALL(getcpu)
CALL(getitimer) CALL(getpgid) CALL(getpgrp) CALL(getpid) CALL(getppid) CALL(getpriority) CALL(getrlimit)
CALL(get_robust_list) CALL(getrusage) CALL(getsid) CALL(get_thread_area) CALL(gettid) CALL(ioprio_get)
CALL(ioprio_set) CALL(kill) CALL(landlock_add_rule) CALL(landlock_create_ruleset) CALL(landlock_restrict_self)
CALL(pause) CALL(pidfd_open) CALL(pidfd_send_signal) CALL(prctl) CALL(prlimit64) CALL(process_mrelease)
CALL(process_vm_readv) CALL(process_vm_writev) CALL(ptrace) CALL(restart_syscall) CALL(rseq) CALL(rt_sigaction)
CALL(rt_sigpending) CALL(rt_sigprocmask) CALL(rt_sigqueueinfo) CALL(rt_sigreturn) CALL(rt_sigsuspend)
CALL(rt_sigtimedwait) CALL(rt_sigtimedwait_time64) CALL(rt_tgsigqueueinfo) CALL(sched_getaffinity)
CALL(sched_getattr) CALL(sched_getparam) CALL(sched_get_priority_max) CALL(sched_get_priority_min)
CALL(sched_getscheduler) CALL(sched_rr_get_interval) CALL(sched_rr_get_interval_time64) CALL(sched_setaffinity)
CALL(sched_setattr) CALL(sched_setparam) CALL(sched_setscheduler) CALL(sched_yield) CALL(seccomp) CALL(setitimer)
CALL(setpgid) CALL(setpriority) CALL(setrlimit) CALL(set_robust_list) CALL(setsid) CALL(set_thread_area)
CALL(set_tid_address) CALL(sigaltstack) CALL(signalfd) CALL(signalfd4) CALL(sigprocmask) CALL(sigreturn) CALL(tgkill)
CALL(tkill) CALL(ugetrlimit) CALL(uretprobe) CALL(vfork) CALL(wait4) CALL(waitid) CALL(waitpid)
// Users and groups
CALL(getegid) CALL(getegid32) CALL(geteuid) CALL(geteuid32) CALL(getgid) CALL(getgid32) CALL(getgroups)
CALL(getgroups32) CALL(getresgid) CALL(getresgid32) CALL(getresuid) CALL(getresuid32) CALL(getuid) CALL(getuid32)
CALL(setfsgid) CALL(setfsgid32) CALL(setfsuid) CALL(setfsuid32) CALL(setgid) CALL(setgid32) CALL(setgroups)
CALL(setgroups32) CALL(setregid) CALL(setregid32) CALL(setresgid) CALL(setresgid32) CALL(setresuid)
CALL(setresuid32) CALL(setreuid) CALL(setreuid32) CALL(setuid) CALL(setuid32)
// Sockets and messages between processes (`socket` itself depends on its first argument)
CALL(accept) CALL(accept4) CALL(bind) CALL(connect) CALL(getpeername) CALL(getsockname) CALL(getsockopt) CALL(ipc)
CALL(listen) CALL(mq_getsetattr) CALL(mq_notify) CALL(mq_open) CALL(mq_timedreceive) CALL(mq_timedreceive_time64)
CALL(mq_timedsend) CALL(mq_timedsend_time64) CALL(mq_unlink) CALL(msgctl) CALL(msgget) CALL(msgrcv) CALL(msgsnd)
CALL(recv) CALL(recvfrom) CALL(recvmmsg) CALL(recvmmsg_time64) CALL(recvmsg) CALL(semctl) CALL(semget) CALL(semop)
CALL(semtimedop) CALL(semtimedop_time64) CALL(send) CALL(sendmmsg) CALL(sendmsg) CALL(sendto) CALL(setsockopt)
CALL(shutdown) CALL(socketcall) CALL(socketpair)
// Time
CALL(adjtimex) CALL(clock_adjtime) CALL(clock_adjtime64) CALL(clock_getres) CALL(clock_getres_time64)
CALL(clock_gettime) CALL(clock_gettime64) CALL(clock_nanosleep) CALL(clock_nanosleep_time64) CALL(gettimeofday)
CALL(nanosleep) CALL(time) CALL(timer_create) CALL(timer_delete) CALL(timer_getoverrun) CALL(timer_gettime)
CALL(timer_gettime64) CALL(timer_settime) CALL(timer_settime64) CALL(timerfd_create) CALL(timerfd_gettime)
CALL(timerfd_gettime64) CALL(timerfd_settime) CALL(timerfd_settime64) CALL(times)
// The machine
CALL(getrandom) CALL(sysinfo) CALL(uname)
#if defined(__x86_64__)
CALL(arch_prctl) CALL(modify_ldt)
#endif
