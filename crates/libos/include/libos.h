/*
 * What the library OS offers to a program's glue beyond the C library.
 */
#ifndef LIBOS_H
#define LIBOS_H

#include <stddef.h>
#include <sys/types.h>

/* 1 if the calling process runs on a coroutine, else 0. */
extern int	libos_is_coroutine(void);

/*
 * Suspends the calling process until its owner resumes it, perhaps on another thread: call it only where nothing of
 * the thread (the address of errno, say) is kept across the call. Does nothing in a process that has a thread of its own.
 */
extern void libos_suspend(void);

/*
 * The bytes between a coroutine's process and its owner. Read takes at most len bytes and returns their number: 0 when there
 * are none yet, -1 when there will be none any more. Write takes all, and suspends the process when much is waiting.
 */
extern ssize_t libos_console_read(void *buffer, size_t len);
extern ssize_t libos_console_write(const void *buffer, size_t len);

/* Tells the owner of the system that something has happened. */
extern void libos_notify(const char *name, const char *value);

/* 1 if the socket is a connection of the host process with itself, else 0. */
extern int	libos_socket_is_internal(int fd);

#endif
