package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	asleep = "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
	gone   = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
)

func connect(ctx context.Context) *pgx.Conn {
	return get(pgx.Connect(ctx, uri))
}

func exec(ctx context.Context, c *pgx.Conn, query string, arguments ...any) {
	get(c.Exec(ctx, query, arguments...))
}

func value[T any](ctx context.Context, c *pgx.Conn, query string, arguments ...any) T {
	rows := get(c.Query(ctx, query, arguments...))
	return get(pgx.CollectExactlyOneRow(rows, pgx.RowTo[T]))
}

func simpleQuery(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	results := get(c.PgConn().Exec(ctx,
		"CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple").ReadAll())
	equal(string(results[2].Rows[0][0]), "3")
	_, err := c.Exec(ctx, "SELECT * FROM no_such_table", pgx.QueryExecModeSimpleProtocol)
	fails("42P01", err)
	_, err = c.PgConn().Exec(ctx, "INSERT INTO simple VALUES (9); SELECT 1 / 0").ReadAll()
	fails("22012", err)
	equal(value[int](ctx, c, "SELECT count(*) FROM simple", pgx.QueryExecModeSimpleProtocol), 2)
}

func extendedQuery(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	worth := pgtype.Numeric{Int: big.NewInt(12345678900), Exp: -6, Valid: true}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec} {
		var (
			long    int64
			text    string
			image   []byte
			decimal pgtype.Numeric
			when    time.Time
			array   []int32
			object  map[string][]int
			null    *string
		)
		row := c.QueryRow(ctx, "SELECT $1::int8, $2::text, $3::bytea, $4::numeric, $5::timestamptz, $6::int[], $7::jsonb, $8::text",
			mode, int64(1)<<40, "zażółć", []byte{0, 255}, worth, at, []int32{1, 2, 3}, map[string][]int{"a": {1}}, nil)
		must(row.Scan(&long, &text, &image, &decimal, &when, &array, &object, &null))
		equal([]any{long, text, image, when.UTC(), array, object, null},
			[]any{int64(1) << 40, "zażółć", []byte{0, 255}, at, []int32{1, 2, 3}, map[string][]int{"a": {1}}, (*string)(nil)})
		equal(get(decimal.Float64Value()).Float64, 12345.6789)
	}
	large := strings.Repeat("x", 4<<20)
	check(value[string](ctx, c, "SELECT $1::text", large) == large, "4 MiB come back")
	_, err := c.Exec(ctx, "SELECT 1 / $1::int", 0)
	fails("22012", err)
	equal(value[int](ctx, c, "SELECT $1::int + 1", 1), 2)
}

func preparedNames(ctx context.Context) {
	a, b := connect(ctx), connect(ctx)
	defer a.Close(ctx)
	defer b.Close(ctx)
	get(a.Prepare(ctx, "same", "SELECT $1::int + 1"))
	get(b.Prepare(ctx, "same", "SELECT $1::text || 'b'"))
	for i := range 20 {
		equal(value[int](ctx, a, "same", i), i+1)
		equal(value[string](ctx, b, "same", fmt.Sprint(i)), fmt.Sprintf("%db", i))
	}
	must(a.Deallocate(ctx, "same"))
	equal(value[string](ctx, b, "same", "x"), "xb")
	_, err := a.Exec(ctx, "EXECUTE same(1)")
	fails("26000", err)
}

func pipelineError(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	exec(ctx, c, "CREATE TABLE pipeline (n int PRIMARY KEY)")
	// the extended protocol with a Sync between two parts: the error ends its own part only
	pipeline := c.PgConn().StartPipeline(ctx)
	send := func(n string) {
		pipeline.SendQueryParams("INSERT INTO pipeline VALUES ($1)", [][]byte{[]byte(n)}, nil, nil, nil)
	}
	send("1")
	must(pipeline.Sync())
	send("2")
	send("1")
	send("3")
	must(pipeline.Sync())
	send("4")
	must(pipeline.Sync())
	failures := 0
	for syncs := 0; syncs < 3; {
		results, err := pipeline.GetResults()
		if err != nil {
			fails("23505", err)
			failures++
			continue
		}
		switch results := results.(type) {
		case *pgconn.ResultReader:
			if _, err := results.Close(); err != nil {
				fails("23505", err)
				failures++
			}
		case *pgconn.PipelineSync:
			syncs++
		}
	}
	must(pipeline.Close())
	equal(failures, 1)
	// and pgx's batches
	batch := &pgx.Batch{}
	for _, n := range []int{5, 1, 6} {
		batch.Queue("INSERT INTO pipeline VALUES ($1)", n)
	}
	results := c.SendBatch(ctx, batch)
	get(results.Exec())
	_, err := results.Exec()
	fails("23505", err)
	fails("23505", results.Close())
	equal(value[[]int32](ctx, c, "SELECT array_agg(n ORDER BY n) FROM pipeline"), []int32{1, 4})
}

func copyIn(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	exec(ctx, c, "CREATE TABLE copied (n int, t text)")
	source := pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return []any{i, fmt.Sprintf("row\t%d", i)}, nil })
	equal(get(c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n", "t"}, source)), int64(rows))
	_, err := c.PgConn().CopyFrom(ctx, strings.NewReader("1\tgood\nbad\tbad\n"), "COPY copied FROM STDIN")
	fails("22P02", err)
	total := value[[]int64](ctx, c,
		"SELECT ARRAY[count(*), sum(n), count(*) FILTER (WHERE t = E'row\\t' || n)] FROM copied")
	equal(total, []int64{rows, rows * (rows - 1) / 2, rows})
}

func copyOut(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	var out bytes.Buffer
	query := fmt.Sprintf("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, %d) i) TO STDOUT", rows)
	equal(get(c.PgConn().CopyTo(ctx, &out, query)).RowsAffected(), int64(rows))
	lines := strings.Split(out.String(), "\n")
	equal([]any{len(lines), lines[rows-1]}, []any{rows + 1, fmt.Sprintf("%d\t%s", rows, strings.Repeat("x", 100))})
	_, err := c.PgConn().CopyTo(ctx, &out, "COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT")
	fails("22012", err)
	equal(value[int](ctx, c, "SELECT 1"), 1)
}

func listenNotify(ctx context.Context) {
	a, b := connect(ctx), connect(ctx)
	defer a.Close(ctx)
	defer b.Close(ctx)
	exec(ctx, a, "LISTEN news")
	err := pgx.BeginFunc(ctx, b, func(tx pgx.Tx) error {
		get(tx.Exec(ctx, "NOTIFY news, 'rolled back'"))
		_, err := tx.Exec(ctx, "SELECT 1 / 0")
		return err
	})
	fails("22012", err)
	exec(ctx, b, "SELECT pg_notify('news', $1)", "one")
	exec(ctx, b, "NOTIFY news, 'two'")
	for _, expected := range []string{"one", "two"} {
		equal(*get(a.WaitForNotification(ctx)), pgconn.Notification{PID: b.PgConn().PID(), Channel: "news", Payload: expected})
	}
}

func cursor(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	must(pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		get(tx.Exec(ctx, fmt.Sprintf("DECLARE ours SCROLL CURSOR FOR SELECT i FROM generate_series(1, %d) i", rows)))
		total := 0
		for {
			part := get(pgx.CollectRows(get(tx.Query(ctx, "FETCH 500 FROM ours")), pgx.RowTo[int]))
			if len(part) == 0 {
				break
			}
			for _, i := range part {
				total += i
			}
		}
		equal(total, rows*(rows+1)/2)
		get(tx.Exec(ctx, "MOVE ABSOLUTE 997 FROM ours"))
		equal(get(pgx.CollectRows(get(tx.Query(ctx, "FETCH 3 FROM ours")), pgx.RowTo[int])), []int{998, 999, 1000})
		return nil
	}))
	// rows that nobody reads to the end
	some := get(c.Query(ctx, "SELECT i FROM generate_series(1, 100000) i"))
	check(some.Next() && some.Next(), "two rows")
	some.Close()
	must(some.Err())
	equal(value[int](ctx, c, "SELECT 1"), 1)
}

func cancel(ctx context.Context) {
	a, b := connect(ctx), connect(ctx)
	defer a.Close(ctx)
	defer b.Close(ctx)
	ended := make(chan error)
	go func() {
		_, err := a.Exec(ctx, "SELECT pg_sleep(60)")
		ended <- err
	}()
	until(func() bool { return value[bool](ctx, b, asleep, a.PgConn().PID()) })
	must(a.PgConn().CancelRequest(ctx))
	fails("57014", <-ended)
	equal(value[int](ctx, a, "SELECT 1"), 1)
}

func transactions(ctx context.Context) {
	a, b, watch := connect(ctx), connect(ctx), connect(ctx)
	for _, c := range []*pgx.Conn{a, b, watch} {
		defer c.Close(ctx)
	}
	exec(ctx, a, "CREATE TABLE account (id int PRIMARY KEY, n int)")
	exec(ctx, a, "INSERT INTO account VALUES (1, 10), (2, 20)")
	one := "SELECT n FROM account WHERE id = 1"
	first := get(a.Begin(ctx))
	get(first.Exec(ctx, "UPDATE account SET n = 11 WHERE id = 1"))
	equal(value[int](ctx, b, one), 10)
	waiting := make(chan error)
	go func() {
		_, err := b.Exec(ctx, "UPDATE account SET n = n + 100 WHERE id = 1")
		waiting <- err
	}()
	until(func() bool { return value[bool](ctx, watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted") })
	must(first.Commit(ctx))
	must(<-waiting)
	equal(value[int](ctx, a, one), 111)
	var both []pgx.Tx
	for _, c := range []*pgx.Conn{a, b} {
		tx := get(c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}))
		get(tx.Exec(ctx, "SELECT * FROM account"))
		both = append(both, tx)
	}
	get(both[0].Exec(ctx, "UPDATE account SET n = 0 WHERE id = 2"))
	must(both[0].Commit(ctx))
	_, err := both[1].Exec(ctx, "UPDATE account SET n = 1 WHERE id = 2")
	fails("40001", err)
	_, err = both[1].Exec(ctx, "SELECT 1")
	fails("25P02", err)
	must(both[1].Rollback(ctx))
	equal(value[int](ctx, b, "SELECT n FROM account WHERE id = 2"), 0)
}

func clientDiesQuery(ctx context.Context) {
	watch := connect(ctx)
	defer watch.Close(ctx)
	victim := connect(ctx)
	exec(ctx, victim, "SET client_connection_check_interval = '100ms'")
	pid := victim.PgConn().PID()
	ended := make(chan error)
	go func() {
		_, err := victim.Exec(ctx, "SELECT pg_sleep(600)")
		ended <- err
	}()
	until(func() bool { return value[bool](ctx, watch, asleep, pid) })
	must(victim.PgConn().Conn().Close())
	check(<-ended != nil, "the client hears of it")
	until(func() bool { return value[bool](ctx, watch, gone, pid) })
}

// endless gives rows, then says so, then nothing.
type endless struct {
	given bool
	begun chan struct{}
	end   chan struct{}
}

func (e *endless) Read(into []byte) (int, error) {
	if !e.given {
		e.given = true
		return copy(into, bytes.Repeat([]byte("a row\n"), len(into)/6)), nil
	}
	close(e.begun)
	<-e.end
	return 0, errors.New("the client is dead")
}

func clientDiesCopy(ctx context.Context) {
	watch := connect(ctx)
	defer watch.Close(ctx)
	exec(ctx, watch, "CREATE TABLE torn (t text)")
	victim := connect(ctx)
	pid := victim.PgConn().PID()
	source := &endless{begun: make(chan struct{}), end: make(chan struct{})}
	ended := make(chan error)
	go func() {
		_, err := victim.PgConn().CopyFrom(ctx, source, "COPY torn FROM STDIN")
		ended <- err
	}()
	<-source.begun
	must(victim.PgConn().Conn().Close())
	close(source.end)
	check(<-ended != nil, "the client hears of it")
	until(func() bool { return value[bool](ctx, watch, gone, pid) })
	equal(value[int](ctx, watch, "SELECT count(*) FROM torn"), 0)
}

func hundredConnections(ctx context.Context) {
	c := connect(ctx)
	defer c.Close(ctx)
	exec(ctx, c, "CREATE TABLE hundred (n int)")
	config := get(pgxpool.ParseConfig(uri))
	config.MaxConns = 100
	config.ConnConfig.RuntimeParams["application_name"] = "hundred"
	pool := get(pgxpool.NewWithConfig(ctx, config))
	count := "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'"
	var connected, done, all sync.WaitGroup
	connected.Add(100)
	done.Add(100)
	problems := make(chan error, 100)
	for n := range 100 {
		all.Go(func() {
			problems <- func() error {
				mine, err := pool.Acquire(ctx)
				connected.Done()
				connected.Wait()
				if err == nil {
					_, err = mine.Exec(ctx, "INSERT INTO hundred VALUES ($1)", n)
				}
				done.Done()
				done.Wait()
				if err != nil {
					return err
				}
				defer mine.Release()
				var seen int
				if err := mine.QueryRow(ctx, count).Scan(&seen); err != nil || seen != 100 {
					return fmt.Errorf("%d connections, %w", seen, err)
				}
				return nil
			}()
		})
	}
	all.Wait()
	for range 100 {
		must(<-problems)
	}
	pool.Close()
	equal(value[[]int64](ctx, c, "SELECT ARRAY[count(*), sum(n)] FROM hundred"), []int64{100, 4950})
	until(func() bool { return value[int](ctx, c, count) == 0 })
}

func unixSocket(ctx context.Context) {
	address := get(url.Parse(uri))
	address.RawQuery = url.Values{"host": {socketFolder}, "port": {address.Port()}}.Encode()
	address.Host = ""
	c := get(pgx.Connect(ctx, address.String()))
	defer c.Close(ctx)
	_, local := c.PgConn().Conn().(*net.UnixConn)
	check(local, "a Unix socket")
	large := strings.Repeat("y", 1<<20)
	check(value[string](ctx, c, "SELECT $1::text", large) == large, "1 MiB comes back")
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/jackc/pgx/v5" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "?"
}

func main() {
	runAll(version(), []scenario{
		{"simple-query", simpleQuery},
		{"extended-query", extendedQuery},
		{"prepared-names", preparedNames},
		{"pipeline-error", pipelineError},
		{"copy-in", copyIn},
		{"copy-out", copyOut},
		{"listen-notify", listenNotify},
		{"cursor", cursor},
		{"cancel", cancel},
		{"transactions", transactions},
		{"client-dies-query", clientDiesQuery},
		{"client-dies-copy", clientDiesCopy},
		{"hundred-connections", hundredConnections},
		{"unix-socket", unixSocket},
	})
}
