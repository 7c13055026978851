package pglite

import (
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) *Database {
	t.Helper()
	database, err := Open(t.TempDir() + "/data")
	if err != nil {
		t.Fatal(err)
	}
	return database
}

func session(t *testing.T, database *Database) *Session {
	t.Helper()
	session, err := database.Session()
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func query(t *testing.T, session *Session, sql string) [][]*string {
	t.Helper()
	rows, err := session.Query(sql)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRowsAndErrors(t *testing.T) {
	database := open(t)
	s := session(t, database)
	rows := query(t, s, "SELECT 'hällo', NULL, 42")
	if len(rows) != 1 || *rows[0][0] != "hällo" || rows[0][1] != nil || *rows[0][2] != "42" {
		t.Fatal(rows)
	}
	_, err := s.Query("SELECT 1/0")
	if failure, ok := err.(*Error); !ok || failure.SQLState != "22012" {
		t.Fatal(err)
	}
	if _, err := Open("/dev/null"); err == nil {
		t.Fatal("this is not a database")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestManyGoroutines(t *testing.T) {
	database := open(t)
	first := session(t, database)
	query(t, first, "CREATE TABLE t (a int)")
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			s, err := database.Session()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for j := 0; j < 20; j++ {
				if _, err := s.Query("INSERT INTO t VALUES (1)"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	if rows := query(t, first, "SELECT count(*) FROM t"); *rows[0][0] != "160" {
		t.Fatal(*rows[0][0])
	}
	go func() {
		time.Sleep(100 * time.Millisecond)
		first.Cancel()
	}()
	if _, err := first.Query("SELECT pg_sleep(3600)"); err == nil || err.(*Error).SQLState != "57014" {
		t.Fatal(err)
	}
	first.Close()
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
}
