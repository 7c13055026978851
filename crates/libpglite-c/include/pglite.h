/*
 * pglite.h: a real, unmodified PostgreSQL inside your program.
 *
 * A pglite_database is a server in this process, or one standalone session; a pglite_session is a client of it. All text is UTF-8.
 * Functions that can fail return a pglite_status, and an error object through their last argument, where that is not null: free it
 * with pglite_error_free. No function may be called in a signal handler but pglite_cancel, and none in a child after fork.
 *
 * Made from the source of crates/libpglite-c.
 */

#ifndef PGLITE_H
#define PGLITE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of this interface. Programs that were built with a header of an older version run with newer libraries of the same
 * number; the number changes with what is not compatible.
 */
#define PGLITE_ABI_VERSION 1

/**
 * What a function returns.
 */
typedef enum {
  /**
   * It is done.
   */
  PGLITE_OK = 0,
  /**
   * Nothing can be sent or received just now; wait for pglite_session_fd, or send more.
   */
  PGLITE_AGAIN = 1,
  /**
   * A statement failed: the error object has its SQLSTATE. The session is usable.
   */
  PGLITE_SQL = 2,
  /**
   * The session or the server has ended. What was committed is safe.
   */
  PGLITE_ENDED = 3,
  /**
   * An argument is impossible.
   */
  PGLITE_USAGE = 4,
  /**
   * The directory holds something else.
   */
  PGLITE_NOT_A_DATABASE = 5,
  /**
   * The database belongs to another major version of PostgreSQL.
   */
  PGLITE_OTHER_VERSION = 6,
  /**
   * Somebody else has the database open.
   */
  PGLITE_IN_USE = 7,
  /**
   * The directory cannot be written to.
   */
  PGLITE_READ_ONLY = 8,
  /**
   * The disk is full.
   */
  PGLITE_NO_SPACE = 9,
  /**
   * PostgreSQL does not have the setting, or does not take the value.
   */
  PGLITE_SETTING = 10,
  /**
   * PostgreSQL did not start; the message has its own words.
   */
  PGLITE_STARTUP = 11,
  /**
   * The operating system refused something.
   */
  PGLITE_IO = 12,
  /**
   * The process is a fork of the one that opened the database.
   */
  PGLITE_FORKED = 13,
  /**
   * The handle is in use: by another thread, by a callback, or by sessions that are open.
   */
  PGLITE_BUSY = 14,
  /**
   * The callback asked to stop.
   */
  PGLITE_STOPPED = 15,
  /**
   * A defect of libpglite. Please report it.
   */
  PGLITE_INTERNAL = 16,
} pglite_status;

/**
 * How severe a line of the server's log is.
 */
typedef enum {
  /**
   * DEBUG1 to DEBUG5.
   */
  PGLITE_DEBUG = 0,
  /**
   * LOG, INFO, NOTICE.
   */
  PGLITE_INFO = 1,
  /**
   * WARNING.
   */
  PGLITE_WARNING = 2,
  /**
   * ERROR: a statement failed.
   */
  PGLITE_ERROR = 3,
  /**
   * FATAL and PANIC: a process ended.
   */
  PGLITE_FATAL = 4,
} pglite_severity;

/**
 * An open database. Any thread may use it.
 */
typedef struct pglite_database pglite_database;

/**
 * Why a call failed. It belongs to the caller, who frees it.
 */
typedef struct pglite_error pglite_error;

/**
 * A session. One thread at a time uses it; only pglite_cancel is for all.
 */
typedef struct pglite_session pglite_session;

/**
 * Gets the server's log: `pid` is PostgreSQL's process id, `text` one message, which lives only during the call. It is called on
 * PostgreSQL's threads, also several at once, and must neither call libpglite nor jump out.
 */
typedef void (*pglite_log_callback)(void *context, pglite_severity severity, int pid, const char *text);

/**
 * How a database is opened. Fill it with PGLITE_OPTIONS_INIT, or with zeros and the size; what is zero is the default.
 */
typedef struct {
  /**
   * sizeof(pglite_options).
   */
  size_t size;
  /**
   * 0: a server with any number of sessions. 1: one session at a time, which runs on the thread that calls it and nowhere else.
   */
  int standalone;
  /**
   * 1: an error instead of a new database.
   */
  int existing_only;
  /**
   * The superuser; "postgres".
   */
  const char *user;
  /**
   * The superuser's password, for those who connect from outside. It is set when the database is made.
   */
  const char *password;
  /**
   * Settings of PostgreSQL as NAME=VALUE, with a null pointer at the end. They win over postgresql.conf.
   */
  const char *const *settings;
  /**
   * A folder for a Unix socket, so that other programs can connect. Not with `standalone`.
   */
  const char *socket_folder;
  /**
   * A TCP address and port to listen on, such as 127.0.0.1:5432. Not with `standalone`.
   */
  const char *listen;
  /**
   * Files and directories of the machine that SQL may read and write, with a null pointer at the end.
   */
  const char *const *allow_paths;
  /**
   * 1: SQL may open network connections.
   */
  int allow_network;
  /**
   * 1: SQL may start programs.
   */
  int allow_programs;
  /**
   * Gets the server's log; without it the log is dropped.
   */
  pglite_log_callback log;
  /**
   * For `log`.
   */
  void *log_context;
} pglite_options;

/**
 * Who a session is. Fill it with PGLITE_SESSION_OPTIONS_INIT, or with zeros and the size; what is zero is the default.
 */
typedef struct {
  /**
   * sizeof(pglite_session_options).
   */
  size_t size;
  /**
   * The role; the superuser. The process itself connects: no password is asked for.
   */
  const char *user;
  /**
   * The database; "postgres".
   */
  const char *database;
  /**
   * Settings that the session begins with as NAME=VALUE, with a null pointer at the end.
   */
  const char *const *settings;
} pglite_session_options;

/**
 * A row, during a call of pglite_row_callback.
 */
typedef struct {
  /**
   * sizeof(pglite_row).
   */
  size_t size;
  /**
   * Which statement of the text it belongs to, from 0.
   */
  int statement;
  /**
   * Number of columns.
   */
  int columns;
  /**
   * Names of the columns.
   */
  const char *const *names;
  /**
   * Object identifiers of the types of the columns.
   */
  const uint32_t *types;
  /**
   * The values as text; NULL is a null pointer. Each ends in a zero byte.
   */
  const char *const *values;
  /**
   * Lengths of the values in bytes, without the zero.
   */
  const size_t *lengths;
} pglite_row;

/**
 * Gets each row. What is not 0 stops: the statement is cancelled. It must not jump out, nor use the session.
 */
typedef int (*pglite_row_callback)(void *context, const pglite_row *row);

/**
 * Gets each notice; it lives only during the call.
 */
typedef void (*pglite_notice_callback)(void *context, const pglite_error *notice);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The status that came with the error; PGLITE_OK for a null pointer.
 */
pglite_status pglite_error_status(const pglite_error *error);

/**
 * The message. It lives as long as the error, as do the strings below.
 */
const char *pglite_error_message(const pglite_error *error);

/**
 * The severity in English: ERROR, FATAL, PANIC; of a notice: WARNING, NOTICE, INFO, LOG, DEBUG.
 */
const char *pglite_error_severity(const pglite_error *error);

/**
 * The five characters of SQLSTATE; null where PostgreSQL did not say it.
 */
const char *pglite_error_sqlstate(const pglite_error *error);

/**
 * More about it, or null.
 */
const char *pglite_error_detail(const pglite_error *error);

/**
 * What to do about it, or null.
 */
const char *pglite_error_hint(const pglite_error *error);

/**
 * The character of the statement that it is about, from 1; 0 where there is none.
 */
int pglite_error_position(const pglite_error *error);

/**
 * Frees an error. A null pointer is nothing to free.
 */
void pglite_error_free(pglite_error *error);

/**
 * PGLITE_ABI_VERSION of the library.
 */
int pglite_abi_version(void);

/**
 * The version of libpglite, such as "0.1.0".
 */
const char *pglite_version(void);

/**
 * The version of PostgreSQL, such as "18.6".
 */
const char *pglite_postgres_version(void);

/**
 * Opens the database in a directory; makes it where there is none, or where it is empty. ":memory:" is a database in memory.
 * `options` may be null. The database is closed by pglite_close. On failure `*database` is null, and the directory is as it was.
 */
pglite_status pglite_open(const char *directory,
                          const pglite_options *options,
                          pglite_database **database,
                          pglite_error **error);

/**
 * Shuts a database down: all that was committed is on disk, the directory is free. Its sessions have to be closed first: else it
 * says PGLITE_BUSY and the database stays open. In all other cases the handle is gone, also where something went wrong.
 */
pglite_status pglite_close(pglite_database *database,
                           pglite_error **error);

/**
 * The data directory. The string lives as long as the database.
 */
const char *pglite_path(const pglite_database *database);

/**
 * How other programs reach the database; null where it listens nowhere. The string lives as long as the database.
 */
const char *pglite_uri(const pglite_database *database);

/**
 * A new connection for a driver that wants a socket: a descriptor that speaks the wire protocol from the start-up packet on, trusted
 * as any role. It belongs to the caller. Negative on failure, and for a standalone database.
 */
int pglite_connect_fd(const pglite_database *database);

/**
 * Opens a session. `options` may be null. It is closed by pglite_session_close. A standalone database has one at a time: else it
 * says PGLITE_BUSY.
 */
pglite_status pglite_session_open(pglite_database *database,
                                  const pglite_session_options *options,
                                  pglite_session **session,
                                  pglite_error **error);

/**
 * Closes a session; the handle is gone. An open transaction is rolled back.
 */
pglite_status pglite_session_close(pglite_session *session, pglite_error **error);

/**
 * What the session said when it began: the messages ParameterStatus, BackendKeyData and ReadyForQuery, `*length` bytes of them. They
 * live as long as the session.
 */
const void *pglite_session_greeting(const pglite_session *session,
                                    size_t *length);

/**
 * Sends any part of a stream of messages of the wire protocol, version 3, which begins after the start-up. Blocking, it sends
 * everything; else what can be sent, or says PGLITE_AGAIN. `*sent`, where it is not null, is how many bytes that was.
 */
pglite_status pglite_session_send(pglite_session *session,
                                  const void *data,
                                  size_t length,
                                  size_t *sent,
                                  pglite_error **error);

/**
 * Receives at most `size` bytes of the messages that the session sends; `*received` is how many. Blocking, it waits for the first
 * one; else it says PGLITE_AGAIN where there is none. A standalone session has said everything when pglite_session_send returns, and
 * never waits. PGLITE_ENDED: no more will come.
 */
pglite_status pglite_session_recv(pglite_session *session,
                                  void *buffer,
                                  size_t size,
                                  size_t *received,
                                  pglite_error **error);

/**
 * Whether pglite_session_send and pglite_session_recv block: 1, as they do at first, or 0.
 */
pglite_status pglite_session_set_blocking(pglite_session *session, int on);

/**
 * The descriptor to wait for with poll: readable when there is something to receive, writable when something can be sent. It belongs
 * to the session. -1 for a standalone session, and while bytes are there that only have to be taken: pglite_session_recv does not
 * wait then.
 */
int pglite_session_fd(const pglite_session *session);

/**
 * Runs statements, and calls `callback`, where it is not null, for each row. The first error ends it.
 */
pglite_status pglite_session_exec(pglite_session *session,
                                  const char *sql,
                                  pglite_row_callback callback,
                                  void *context,
                                  pglite_error **error);

/**
 * What the last statement of pglite_session_exec did, such as "INSERT 0 1". The string lives until the next call with the session.
 */
const char *pglite_session_tag(const pglite_session *session);

/**
 * Who gets the notices of pglite_session_exec; null: nobody.
 */
pglite_status pglite_session_set_notice(pglite_session *session, pglite_notice_callback callback, void *context);

/**
 * Cancels what the session does; nothing happens where it does nothing. Any thread may call it, and a signal handler: it only writes
 * to a pipe.
 */
void pglite_cancel(const pglite_session *session);

/* What structures of options begin with. */
#define PGLITE_OPTIONS_INIT { .size = sizeof(pglite_options) }
#define PGLITE_SESSION_OPTIONS_INIT { .size = sizeof(pglite_session_options) }

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PGLITE_H */
