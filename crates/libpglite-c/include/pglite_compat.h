/*
 * pglite_compat.h: the interface of the libpglite draft: one global standalone session.
 *
 * In this order: pgl_initdb, pg_conf, pgl_backend; then interactive_write, interactive_one, interactive_read for each input. One
 * thread at a time is inside; others wait. Parameters come from the environment: PREFIX (/tmp/pglite), PGDATA (PREFIX/base), PGUSER,
 * PGDATABASE, PGSYSCONFDIR, PGCLIENTENCODING, PGTZ, PG_COLOR, PGL_CMA_MB (12), PGL_PASSWORD, PGL_PASSWORD_ENCRYPTION, PGL_VERBOSE.
 *
 * Made from the source of crates/libpglite-c.
 */

#ifndef PGLITE_COMPAT_H
#define PGLITE_COMPAT_H

#include <stddef.h>
#include <stdint.h>

/**
 * Creating or resuming failed.
 */
#define IDB_FAILED 1

/**
 * initdb was called and the cluster created.
 */
#define IDB_CALLED 2

/**
 * A cluster was found.
 */
#define IDB_HASDB 4

/**
 * The user exists.
 */
#define IDB_HASUSER 8

/**
 * What remains of a status that did not fail.
 */
#define IDB_OK 254

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Creates or resumes the cluster in PGDATA; returns IDB_ bits. Where it fails it prints why, and leaves the directory as it was.
 */
int pgl_initdb(void);

/**
 * The same as pgl_initdb.
 */
int pg_initdb(void);

/**
 * Sets a value in PREFIX/postgresql.conf, before pgl_backend; a null value takes the setting out. 0, or 1 where it could not be
 * done: it prints why.
 */
int pg_conf(const char *key,
            const char *value);

/**
 * Begins the session of PGUSER in PGDATABASE, after pgl_initdb and pg_conf. 0, or 1 where it could not be done: it prints why. The
 * session stays that user's until pgl_shutdown; then pgl_initdb and pgl_backend begin another.
 */
int pgl_backend(void);

/**
 * 1: the input is wire protocol. 0: it is text, and the replies go to standard output as tables.
 */
void use_wire(int on);

/**
 * The length of the input in the memory area, at offset 1; the input is there then, and not in a file.
 */
void interactive_write(int length);

/**
 * 1: replies go to the memory area. 0: they go where the input came from.
 */
void use_cma(int on);

/**
 * Processes the input: that of the memory area, else that of the file, else, with use_wire(0), the string at offset 1.
 */
void interactive_one(void);

/**
 * Size of the reply, which begins at offset 2 plus the length of the query. Negative: it did not fit, and is whole in a file, whose
 * number is the absolute value: PGDATA/.s.PGSQL.5432.out.N, for the host to remove.
 */
int interactive_read(void);

/**
 * Clears what an error has left, wherever it stopped. An error in a query needs no clearing.
 */
void clear_error(void);

/**
 * Where the last reply went: negative: to a file. 0: to standard output. Positive: its offset in the memory area.
 */
int get_channel(void);

/**
 * Size of the memory area in bytes. There is one, number 0.
 */
int get_buffer_size(int fd);

/**
 * Offset of the input in the memory area. There is one, number 0.
 */
int get_buffer_addr(int fd);

/**
 * The memory area: offset 1 of it is what address 1 is in the WebAssembly builds. It stays where it is.
 */
void *pgl_cma(void);

/**
 * Frees the backend and closes the cluster, with everything on disk.
 */
void pgl_shutdown(void);

/**
 * 1 while a client is connected, which began with a start-up packet; else 0.
 */
int pgl_closed(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PGLITE_COMPAT_H */
