/*
 * What glue/ asks the library OS, answered by this module (src/wasi).
 */
#ifndef LIBOS_H
#define LIBOS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

extern bool pgl_is_session(void);
extern bool pgl_has_message(void);
extern void pgl_interrupts(void);
extern void pgl_copy_waits(void);

extern ssize_t libos_console_read(void *buffer, size_t size);
extern ssize_t libos_console_write(const void *bytes, size_t size);
extern void libos_suspend(void);

#define libos_is_coroutine() pgl_is_session()

#endif
