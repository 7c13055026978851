package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"
)

func modules(t testing.TB) string {
	folder := os.Getenv("PGLITE_WASM")
	if folder == "" {
		t.Fatal("PGLITE_WASM names the folder that `cargo xtask build --target wasm32-wasip1` makes")
	}
	return folder
}

func open(t testing.TB, prefix string) *Backend {
	t.Helper()
	backend, err := Open(modules(t), prefix, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// query is a simple query message.
func query(sql string) []byte {
	message := binary.BigEndian.AppendUint32([]byte("Q"), uint32(len(sql)+5))
	return append(append(message, sql...), 0)
}

func expect(t *testing.T, backend *Backend, sql string, parts ...string) {
	t.Helper()
	reply, err := backend.Wire(query(sql))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if !bytes.Contains(reply, []byte(part)) {
			t.Fatalf("%.100s: no %.100q in %.500q", sql, part, reply)
		}
	}
}

func TestPrompt(t *testing.T) {
	var output bytes.Buffer
	input := "SELECT 'häl' ||\n 'lo' AS word;\nSELECT 1/0;\nSELECT 6 * 7 AS answer;"
	if err := repl(modules(t), t.TempDir(), strings.NewReader(input), &output); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{" word  \n-------\n hällo\n(1 row)\n", "ERROR:  division by zero\n", "     42\n"} {
		if !strings.Contains(output.String(), part) {
			t.Fatalf("no %q in\n%s", part, output.String())
		}
	}
}

func TestWhatIsWrittenStays(t *testing.T) {
	prefix := t.TempDir()
	first := open(t, prefix)
	if first.Status != idbCalled|idbHasUser {
		t.Fatal(first.Status)
	}
	if _, err := Open(modules(t), prefix, os.Stdout); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatal(err)
	}
	expect(t, first, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a", "SELECT 1000")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, prefix)
	if second.Status != idbHasDB|idbHasUser {
		t.Fatal(second.Status)
	}
	expect(t, second, "SELECT sum(a) FROM t", "500500")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsAndLimits(t *testing.T) {
	b := open(t, t.TempDir())
	defer b.Close()
	expect(t, b, "CREATE FUNCTION caught() RETURNS text AS $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN RETURN 'caught'; END $$ LANGUAGE plpgsql")
	expect(t, b, "SELECT caught(); SELECT 1/0", "caught", "22012")
	expect(t, b, "SELECT repeat('x', 20000000)", strings.Repeat("x", 20000000))
	expect(t, b, "CREATE FUNCTION deep(n int) RETURNS int AS 'SELECT deep(n + 1)' LANGUAGE sql; SELECT deep(1)", "54001")
	expect(t, b, "SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 1e12)", "57014")
	expect(t, b, "SELECT array_agg(repeat('x', 100000000) || g) FROM generate_series(1, 100) g", "53200")
	expect(t, b, "RESET statement_timeout; SELECT 'well'", "well")
}

func TestCancel(t *testing.T) {
	b := open(t, t.TempDir())
	defer b.Close()
	stop := make(chan struct{})
	go func() {
		// Again and again: what comes before the query is for nobody.
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				b.Cancel()
			}
		}
	}()
	expect(t, b, "SELECT count(*) FROM generate_series(1, 1e12)", "57014")
	close(stop)
	expect(t, b, "SELECT 'well'", "well")
}

func BenchmarkSelect1(b *testing.B) {
	backend := open(b, b.TempDir())
	defer backend.Close()
	message := query("SELECT 1")
	for b.Loop() {
		if _, err := backend.Wire(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	prefix := b.TempDir()
	open(b, prefix).Close()
	for b.Loop() {
		backend := open(b, prefix)
		if _, err := backend.Wire(query("SELECT 1")); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		backend.Close()
		b.StartTimer()
	}
}
