//! The library OS's functions by the names of their C namesakes, for stock modules that the loader binds at run time.

use std::ffi::c_void;

macro_rules! table {
    ($($module:ident: $($name:ident = $function:ident,)*;)*) => {
        /// The address of what stands for the C library's `name`.
        pub(crate) fn lookup(name: &str) -> Option<*const c_void> {
            match name {
                $($(stringify!($name) => Some(super::$module::$function as *const c_void),)*)*
                _ => None,
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($(stringify!($name),)*)*];
    };
}

table! {
    environment:
        getpwuid = libos_getpwuid,
        getpwuid_r = libos_getpwuid_r,
        getpwnam = libos_getpwnam,
        getgrnam = libos_getgrnam,
        getgrgid = libos_getgrgid,
        srandom = libos_srandom,
        random = libos_random,
        srand = libos_srand,
        rand = libos_rand,
        strtok = libos_strtok,
        getenv = libos_getenv,
        setenv = libos_setenv,
        unsetenv = libos_unsetenv,
        putenv = libos_putenv,
        setlocale = libos_setlocale,
        newlocale = libos_newlocale,
        freelocale = libos_freelocale,
        uselocale = libos_uselocale,
        localeconv = libos_localeconv,
    ;
    fds:
        close = libos_close,
        dup = libos_dup,
        dup2 = libos_dup2,
        pipe = libos_pipe,
        pipe2 = libos_pipe2,
        fcntl = libos_fcntl,
        isatty = libos_isatty,
        ioctl = libos_ioctl,
        lseek = libos_lseek,
        read = libos_read,
        write = libos_write,
        pread = libos_pread,
        pwrite = libos_pwrite,
        readv = libos_readv,
        writev = libos_writev,
        preadv = libos_preadv,
        pwritev = libos_pwritev,
        tcgetattr = libos_tcgetattr,
        tcsetattr = libos_tcsetattr,
    ;
    files:
        fstat = libos_fstat,
        ftruncate = libos_ftruncate,
        fchmod = libos_fchmod,
        fchown = libos_fchown,
        futimens = libos_futimens,
        fsync = libos_fsync,
        fdatasync = libos_fdatasync,
        sync_file_range = libos_sync_file_range,
        syncfs = libos_syncfs,
        posix_fadvise = libos_posix_fadvise,
        posix_fallocate = libos_posix_fallocate,
        copy_file_range = libos_copy_file_range,
    ;
    memory:
        malloc = libos_malloc,
        calloc = libos_calloc,
        realloc = libos_realloc,
        reallocarray = libos_reallocarray,
        free = libos_free,
        strdup = libos_strdup,
        strndup = libos_strndup,
        posix_memalign = libos_posix_memalign,
        aligned_alloc = libos_aligned_alloc,
        mmap = libos_mmap,
        munmap = libos_munmap,
        shmget = libos_shmget,
        shmat = libos_shmat,
        shmdt = libos_shmdt,
        shmctl = libos_shmctl,
        shm_open = libos_shm_open,
        shm_unlink = libos_shm_unlink,
    ;
    messages:
        recv = libos_recv,
        recvfrom = libos_recvfrom,
        recvmsg = libos_recvmsg,
        send = libos_send,
        sendto = libos_sendto,
        sendmsg = libos_sendmsg,
        shutdown = libos_shutdown,
        getsockname = libos_getsockname,
        getpeername = libos_getpeername,
        getsockopt = libos_getsockopt,
        setsockopt = libos_setsockopt,
    ;
    modules:
        dlopen = libos_dlopen,
        dlsym = libos_dlsym,
        dlclose = libos_dlclose,
        dlerror = libos_dlerror,
        backtrace = libos_backtrace,
        backtrace_symbols = libos_backtrace_symbols,
        backtrace_symbols_fd = libos_backtrace_symbols_fd,
    ;
    options:
        getopt = libos_getopt,
        getopt_long = libos_getopt_long,
    ;
    paths:
        open = libos_open,
        creat = libos_creat,
        stat = libos_stat,
        lstat = libos_lstat,
        access = libos_access,
        unlink = libos_unlink,
        remove = libos_remove,
        rename = libos_rename,
        mkdir = libos_mkdir,
        rmdir = libos_rmdir,
        chmod = libos_chmod,
        chown = libos_chown,
        truncate = libos_truncate,
        utime = libos_utime,
        utimes = libos_utimes,
        symlink = libos_symlink,
        link = libos_link,
        linkat = libos_linkat,
        readlink = libos_readlink,
        realpath = libos_realpath,
        opendir = libos_opendir,
        readdir = libos_readdir,
        closedir = libos_closedir,
        rewinddir = libos_rewinddir,
        chdir = libos_chdir,
        getcwd = libos_getcwd,
        umask = libos_umask,
        mkstemp = libos_mkstemp,
        mkdtemp = libos_mkdtemp,
    ;
    poll:
        epoll_create1 = libos_epoll_create1,
        epoll_ctl = libos_epoll_ctl,
        epoll_wait = libos_epoll_wait,
        poll = libos_poll,
        ppoll = libos_ppoll,
        select = libos_select,
    ;
    print:
        printf = libos_printf,
        vprintf = libos_vprintf,
        asprintf = libos_asprintf,
        vasprintf = libos_vasprintf,
        syslog = libos_syslog,
        openlog = libos_openlog,
        closelog = libos_closelog,
    ;
    process:
        exit = libos_exit,
        _exit = libos__exit,
        abort = libos_abort,
        atexit = libos_atexit,
        __cxa_atexit = libos___cxa_atexit,
        __cxa_finalize = libos___cxa_finalize,
        __assert_fail = libos___assert_fail,
        fork = libos_fork,
        execv = libos_execv,
        waitpid = libos_waitpid,
        wait = libos_wait,
        getpid = libos_getpid,
        getppid = libos_getppid,
        getpgrp = libos_getpgrp,
        getpgid = libos_getpgid,
        setpgid = libos_setpgid,
        getsid = libos_getsid,
        setsid = libos_setsid,
        prctl = libos_prctl,
        personality = libos_personality,
        getrlimit = libos_getrlimit,
        setrlimit = libos_setrlimit,
        getrusage = libos_getrusage,
        times = libos_times,
        getuid = libos_getuid,
        geteuid = libos_geteuid,
        getgid = libos_getgid,
        getegid = libos_getegid,
    ;
    shells:
        popen = libos_popen,
        pclose = libos_pclose,
        system = libos_system,
    ;
    signals:
        siglongjmp = libos_siglongjmp,
        kill = libos_kill,
        raise = libos_raise,
        sigaction = libos_sigaction,
        sigprocmask = libos_sigprocmask,
        pthread_sigmask = libos_pthread_sigmask,
        sigpending = libos_sigpending,
        sigwait = libos_sigwait,
        sigsuspend = libos_sigsuspend,
        signalfd = libos_signalfd,
        signal = libos_signal,
        setitimer = libos_setitimer,
        getitimer = libos_getitimer,
        alarm = libos_alarm,
        pause = libos_pause,
    ;
    sockets:
        socket = libos_socket,
        bind = libos_bind,
        listen = libos_listen,
        accept = libos_accept,
        connect = libos_connect,
        socketpair = libos_socketpair,
        getaddrinfo = libos_getaddrinfo,
        freeaddrinfo = libos_freeaddrinfo,
        getnameinfo = libos_getnameinfo,
        getifaddrs = libos_getifaddrs,
        freeifaddrs = libos_freeifaddrs,
    ;
    streams:
        fopen = libos_fopen,
        fdopen = libos_fdopen,
        freopen = libos_freopen,
        fclose = libos_fclose,
        fflush = libos_fflush,
        fileno = libos_fileno,
        tmpfile = libos_tmpfile,
        puts = libos_puts,
        putchar = libos_putchar,
        getchar = libos_getchar,
        perror = libos_perror,
    ;
    threads:
        pthread_key_create = libos_pthread_key_create,
        pthread_key_delete = libos_pthread_key_delete,
        pthread_getspecific = libos_pthread_getspecific,
        pthread_setspecific = libos_pthread_setspecific,
        pthread_create = libos_pthread_create,
        pthread_join = libos_pthread_join,
        pthread_detach = libos_pthread_detach,
        pthread_exit = libos_pthread_exit,
    ;
    time:
        localtime = libos_localtime,
        localtime_r = libos_localtime_r,
        gmtime = libos_gmtime,
        ctime = libos_ctime,
        mktime = libos_mktime,
        tzset = libos_tzset,
        strftime = libos_strftime,
        strftime_l = libos_strftime_l,
    ;
    waits:
        sem_wait = libos_sem_wait,
        sem_timedwait = libos_sem_timedwait,
        nanosleep = libos_nanosleep,
        usleep = libos_usleep,
        sleep = libos_sleep,
        pthread_mutex_lock = libos_pthread_mutex_lock,
        pthread_cond_wait = libos_pthread_cond_wait,
        pthread_cond_timedwait = libos_pthread_cond_timedwait,
        pthread_barrier_wait = libos_pthread_barrier_wait,
    ;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_redirected_name_is_here() {
        let text = include_str!("../../names.txt");
        let redirected: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("redirect ")).flat_map(str::split_whitespace).collect();
        assert_eq!(redirected, super::NAMES.iter().copied().collect());
    }
}
