// Package pglite opens a database in this process, by cgo.
package pglite

// #cgo LDFLAGS: -lpglite
// #include <signal.h>
// #include <stdlib.h>
// #include <pglite.h>
//
// // libpglite needs two real-time signals of its own, and Go's runtime takes all, for nobody in particular.
// static void free_signals(void)
// {
//     signal(SIGRTMAX - 3, SIG_DFL);
//     signal(SIGRTMAX - 4, SIG_DFL);
// }
//
// int goRow(void *context, pglite_row *row);
//
// static pglite_status run(pglite_session *session, const char *sql, uintptr_t context, pglite_error **error)
// {
//     return pglite_session_exec(session, sql, (pglite_row_callback) goRow, (void *) context, error);
// }
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

func init() { C.free_signals() }

// Database is an open database.
type Database struct{ handle *C.pglite_database }

// Session is a session of a database, for one goroutine at a time.
type Session struct{ handle *C.pglite_session }

// Error is what PostgreSQL, or libpglite, says.
type Error struct{ SQLState, Message string }

func (e *Error) Error() string { return e.Message }

func check(status C.pglite_status, failure *C.pglite_error) error {
	if status == C.PGLITE_OK {
		return nil
	}
	defer C.pglite_error_free(failure)
	return &Error{C.GoString(C.pglite_error_sqlstate(failure)), C.GoString(C.pglite_error_message(failure))}
}

// Open opens the database in a directory, or ":memory:".
func Open(directory string) (*Database, error) {
	name := C.CString(directory)
	defer C.free(unsafe.Pointer(name))
	database, failure := &Database{}, (*C.pglite_error)(nil)
	return database, check(C.pglite_open(name, nil, &database.handle, &failure), failure)
}

// Close shuts the database down; its sessions are closed first.
func (d *Database) Close() error {
	failure := (*C.pglite_error)(nil)
	return check(C.pglite_close(d.handle, &failure), failure)
}

// Session opens a session.
func (d *Database) Session() (*Session, error) {
	session, failure := &Session{}, (*C.pglite_error)(nil)
	return session, check(C.pglite_session_open(d.handle, nil, &session.handle, &failure), failure)
}

// Close closes the session.
func (s *Session) Close() error {
	failure := (*C.pglite_error)(nil)
	return check(C.pglite_session_close(s.handle, &failure), failure)
}

// Cancel cancels what the session does, from any goroutine.
func (s *Session) Cancel() { C.pglite_cancel(s.handle) }

// Query runs statements, and returns all rows as text; NULL is nil.
func (s *Session) Query(sql string) ([][]*string, error) {
	text := C.CString(sql)
	defer C.free(unsafe.Pointer(text))
	var rows [][]*string
	handle := cgo.NewHandle(&rows)
	defer handle.Delete()
	failure := (*C.pglite_error)(nil)
	return rows, check(C.run(s.handle, text, C.uintptr_t(handle), &failure), failure)
}

//export goRow
func goRow(context unsafe.Pointer, row *C.pglite_row) C.int {
	rows := cgo.Handle(uintptr(context)).Value().(*[][]*string)
	values := make([]*string, row.columns)
	lengths := unsafe.Slice(row.lengths, row.columns)
	for i, value := range unsafe.Slice(row.values, row.columns) {
		if value != nil {
			text := C.GoStringN(value, C.int(lengths[i]))
			values[i] = &text
		}
	}
	*rows = append(*rows, values)
	return 0
}
