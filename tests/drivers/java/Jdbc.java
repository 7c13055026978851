import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import javax.net.SocketFactory;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.copy.CopyIn;

/** JDBC: the scenarios of ../README.md. */
public class Jdbc {
    static final int ROWS = 20_000;
    static final URI ADDRESS = URI.create(System.getenv("DRIVERS_URI"));
    static final String ASLEEP = "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = ? AND wait_event = 'PgSleep'";
    static final String GONE = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ?";

    interface Run {
        void run() throws Exception;
    }

    /** The driver has no such thing. */
    static class NotApplicable extends RuntimeException {
        private static final long serialVersionUID = 1;

        NotApplicable(String reason) {
            super(reason);
        }
    }

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static void equal(Object actual, Object expected) {
        if (!Objects.deepEquals(actual, expected)) throw new AssertionError(actual + " instead of " + expected);
    }

    /** Wants an SQLException with this SQLSTATE. */
    static void fails(String state, Run run) throws Exception {
        try {
            run.run();
        } catch (SQLException error) {
            if (state.equals(error.getSQLState())) return;
            throw error;
        }
        throw new AssertionError("no error, but " + state + " was expected");
    }

    static void until(Callable<Boolean> ask) throws Exception {
        for (int i = 0; i < 3000; i++) {
            if (ask.call()) return;
            Thread.sleep(10);
        }
        throw new AssertionError("a condition never became true");
    }

    static Connection connect(String... options) throws SQLException {
        var properties = new Properties();
        var login = ADDRESS.getUserInfo().split(":");
        properties.setProperty("user", login[0]);
        properties.setProperty("password", login[1]);
        for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
        return DriverManager.getConnection(
                "jdbc:postgresql://" + ADDRESS.getHost() + ":" + ADDRESS.getPort() + "/postgres", properties);
    }

    static void execute(Connection c, String query) throws SQLException {
        try (var s = c.createStatement()) {
            s.execute(query);
        }
    }

    static <T> T value(Connection c, Class<T> type, String query, Object... parameters) throws SQLException {
        try (var s = c.prepareStatement(query)) {
            for (int i = 0; i < parameters.length; i++) s.setObject(i + 1, parameters[i]);
            try (var rows = s.executeQuery()) {
                rows.next();
                return rows.getObject(1, type);
            }
        }
    }

    static int pid(Connection c) throws SQLException {
        return c.unwrap(PGConnection.class).getBackendPID();
    }

    static void simpleQuery() throws Exception {
        try (var c = connect("preferQueryMode", "simple"); var s = c.createStatement()) {
            s.execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple");
            check(!s.getMoreResults() && s.getUpdateCount() == 2 && s.getMoreResults(), "three results");
            var rows = s.getResultSet();
            check(rows.next() && rows.getInt(1) == 3, "the sum");
            fails("42P01", () -> s.execute("SELECT * FROM no_such_table"));
            fails("22012", () -> s.execute("INSERT INTO simple VALUES (9); SELECT 1 / 0"));
            equal(value(c, Long.class, "SELECT count(*) FROM simple"), 2L);
        }
    }

    static void extendedQuery() throws Exception {
        var at = OffsetDateTime.parse("2024-02-29T12:00:00Z");
        try (var c = connect("prepareThreshold", "-1");
                var s = c.prepareStatement("SELECT ?::int8, ?::text, ?::bytea, ?::numeric, ?::timestamptz, ?::int[], ?::jsonb, ?::text")) {
            for (int i = 0; i < 3; i++) {
                s.setLong(1, 1L << 40);
                s.setString(2, "zażółć");
                s.setBytes(3, new byte[] {0, (byte) 255});
                s.setBigDecimal(4, new java.math.BigDecimal("12345.678900"));
                s.setObject(5, at);
                s.setArray(6, c.createArrayOf("int4", new Integer[] {1, null, 3}));
                s.setObject(7, "{\"a\": [1]}", Types.OTHER);
                s.setNull(8, Types.VARCHAR);
                try (var row = s.executeQuery()) {
                    row.next();
                    equal(row.getLong(1), 1L << 40);
                    equal(row.getString(2), "zażółć");
                    equal(row.getBytes(3), new byte[] {0, (byte) 255});
                    equal(row.getBigDecimal(4), new java.math.BigDecimal("12345.678900"));
                    equal(row.getObject(5, OffsetDateTime.class).toInstant(), at.toInstant());
                    equal(row.getArray(6).getArray(), new Integer[] {1, null, 3});
                    equal(row.getString(7), "{\"a\": [1]}");
                    equal(row.getString(8), null);
                }
            }
            var large = "x".repeat(4 << 20);
            check(value(c, String.class, "SELECT ?::text", large).equals(large), "4 MiB come back");
            fails("22012", () -> value(c, Integer.class, "SELECT 1 / ?::int", 0));
            equal(value(c, Integer.class, "SELECT ?::int + 1", 1), 2);
        }
    }

    static void preparedNames() throws Exception {
        // the driver names the first statement of each connection S_1
        try (var a = connect("prepareThreshold", "1"); var b = connect("prepareThreshold", "1")) {
            try (var one = a.prepareStatement("SELECT ?::int + 1"); var other = b.prepareStatement("SELECT ?::text || 'b'")) {
                for (int i = 0; i < 20; i++) {
                    one.setInt(1, i);
                    other.setString(1, "" + i);
                    try (var n = one.executeQuery(); var t = other.executeQuery()) {
                        check(n.next() && n.getInt(1) == i + 1, "the first connection's");
                        check(t.next() && t.getString(1).equals(i + "b"), "the second connection's");
                    }
                }
                var names = "SELECT string_agg(name, ',') FROM pg_prepared_statements WHERE statement LIKE '%$1::%'";
                var first = value(a, String.class, names);
                check(first != null && first.equals(value(b, String.class, names)), "the names collide");
            }
            execute(a, "PREPARE same AS SELECT 'a'");
            execute(b, "PREPARE same AS SELECT 'b'");
            execute(a, "DEALLOCATE same");
            equal(value(b, String.class, "EXECUTE same"), "b");
            fails("26000", () -> execute(a, "EXECUTE same"));
        }
    }

    static void pipelineError() throws Exception {
        try (var c = connect()) {
            execute(c, "CREATE TABLE pipeline (n int PRIMARY KEY)");
            try (var s = c.prepareStatement("INSERT INTO pipeline VALUES (?)")) {
                // a batch is sent before its first answer
                for (int i = 0; i < 1000; i++) {
                    s.setInt(1, i % 500);
                    s.addBatch();
                }
                fails("23505", () -> {
                    try {
                        s.executeBatch();
                    } catch (BatchUpdateException error) {
                        throw error.getNextException();
                    }
                });
                execute(c, "TRUNCATE pipeline");
                for (int i = 0; i < 1000; i++) {
                    s.setInt(1, i);
                    s.addBatch();
                }
                equal(s.executeBatch().length, 1000);
            }
            equal(value(c, Long.class, "SELECT sum(n) FROM pipeline"), 499500L);
        }
    }

    static void copyIn() throws Exception {
        try (var c = connect()) {
            execute(c, "CREATE TABLE copied (n int, t text)");
            var copy = c.unwrap(PGConnection.class).getCopyAPI();
            var lines = IntStream.range(0, ROWS).mapToObj(i -> i + "\trow\\t" + i + "\n").collect(Collectors.joining());
            equal(copy.copyIn("COPY copied FROM STDIN", new StringReader(lines)), (long) ROWS);
            fails("22P02", () -> copy.copyIn("COPY copied FROM STDIN", new StringReader("1\tgood\nbad\tbad\n")));
            equal(value(c, Long.class, "SELECT count(*) FROM copied WHERE t = E'row\\t' || n"), (long) ROWS);
            equal(value(c, Long.class, "SELECT sum(n) FROM copied"), (long) ROWS * (ROWS - 1) / 2);
        }
    }

    static void copyOut() throws Exception {
        try (var c = connect()) {
            var copy = c.unwrap(PGConnection.class).getCopyAPI();
            var out = new ByteArrayOutputStream();
            copy.copyOut("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, " + ROWS + ") i) TO STDOUT", out);
            var lines = out.toString().split("\n");
            equal(lines.length, ROWS);
            equal(lines[ROWS - 1], ROWS + "\t" + "x".repeat(100));
            fails("22012", () -> copy.copyOut("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT", out));
            equal(value(c, Integer.class, "SELECT 1"), 1);
        }
    }

    static void listenNotify() throws Exception {
        try (var a = connect(); var b = connect()) {
            execute(a, "LISTEN news");
            b.setAutoCommit(false);
            execute(b, "NOTIFY news, 'rolled back'");
            b.rollback();
            b.setAutoCommit(true);
            value(b, String.class, "SELECT pg_notify('news', ?)::text", "one");
            execute(b, "NOTIFY news, 'two'");
            var got = new ArrayList<String>();
            until(() -> {
                var some = a.unwrap(PGConnection.class).getNotifications(100);
                if (some != null) for (var n : some) got.add(n.getName() + " " + n.getParameter() + " " + n.getPID());
                return got.size() >= 2;
            });
            equal(got, List.of("news one " + pid(b), "news two " + pid(b)));
        }
    }

    static void cursor() throws Exception {
        try (var c = connect()) {
            c.setAutoCommit(false);
            try (var s = c.prepareStatement("SELECT i FROM generate_series(1, ?) i")) {
                s.setFetchSize(500);
                s.setInt(1, ROWS);
                long total = 0;
                try (var rows = s.executeQuery()) {
                    while (rows.next()) total += rows.getInt(1);
                }
                equal(total, (long) ROWS * (ROWS + 1) / 2);
                try (var rows = s.executeQuery()) {
                    check(rows.next() && rows.getInt(1) == 1, "the first row");
                }
            }
            try (var s = c.createStatement()) {
                s.execute("DECLARE ours SCROLL CURSOR FOR SELECT i FROM generate_series(1, 1000) i");
                s.execute("MOVE ABSOLUTE 997 FROM ours");
                try (var rows = s.executeQuery("FETCH 10 FROM ours")) {
                    check(rows.next() && rows.getInt(1) == 998, "row 998");
                }
            }
            c.commit();
        }
    }

    static void cancel() throws Exception {
        try (var a = connect(); var b = connect(); var s = a.createStatement()) {
            var ended = CompletableFuture.runAsync(unchecked(() -> fails("57014", () -> s.execute("SELECT pg_sleep(60)"))));
            until(() -> value(b, Boolean.class, ASLEEP, pid(a)));
            s.cancel();
            ended.get();
            s.setQueryTimeout(1);
            fails("57014", () -> s.execute("SELECT pg_sleep(60)"));
            equal(value(a, Integer.class, "SELECT 1"), 1);
        }
    }

    static void transactions() throws Exception {
        try (var a = connect(); var b = connect(); var watch = connect()) {
            execute(a, "CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)");
            var one = "SELECT n FROM account WHERE id = 1";
            a.setAutoCommit(false);
            execute(a, "UPDATE account SET n = 11 WHERE id = 1");
            equal(value(b, Integer.class, one), 10);
            var waiting = CompletableFuture.runAsync(
                    unchecked(() -> execute(b, "UPDATE account SET n = n + 100 WHERE id = 1")));
            until(() -> value(watch, Boolean.class, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"));
            a.commit();
            waiting.get();
            equal(value(a, Integer.class, one), 111);
            a.commit();
            b.setAutoCommit(false);
            for (var c : List.of(a, b)) {
                c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
                execute(c, "SELECT * FROM account");
            }
            execute(a, "UPDATE account SET n = 0 WHERE id = 2");
            a.commit();
            fails("40001", () -> execute(b, "UPDATE account SET n = 1 WHERE id = 2"));
            fails("25P02", () -> execute(b, "SELECT 1"));
            b.rollback();
            equal(value(b, Integer.class, "SELECT n FROM account WHERE id = 2"), 0);
        }
    }

    /** Sockets that can be closed behind the driver's back. */
    public static class Sockets extends SocketFactory {
        static volatile Socket last;

        @Override
        public Socket createSocket() {
            return last = new Socket();
        }

        @Override
        public Socket createSocket(String host, int port) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(String host, int port, InetAddress local, int localPort) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(InetAddress host, int port) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) {
            throw new UnsupportedOperationException();
        }
    }

    static void clientDiesQuery() throws Exception {
        try (var watch = connect()) {
            var victim = connect("socketFactory", "Jdbc$Sockets", "options", "-c client_connection_check_interval=100ms");
            var socket = Sockets.last;
            int pid = pid(victim);
            var ended = CompletableFuture.runAsync(unchecked(() -> execute(victim, "SELECT pg_sleep(600)")));
            until(() -> value(watch, Boolean.class, ASLEEP, pid));
            socket.close();
            check(ended.handle((done, error) -> error != null).get(), "the client hears of it");
            until(() -> value(watch, Boolean.class, GONE, pid));
        }
    }

    static void clientDiesCopy() throws Exception {
        try (var watch = connect()) {
            execute(watch, "CREATE TABLE torn (t text)");
            var victim = connect("socketFactory", "Jdbc$Sockets");
            var socket = Sockets.last;
            int pid = pid(victim);
            CopyIn copy = victim.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY torn FROM STDIN");
            var data = "a row\n".repeat(10_000).getBytes();
            copy.writeToCopy(data, 0, data.length);
            copy.flushCopy();
            socket.close();
            until(() -> value(watch, Boolean.class, GONE, pid));
            equal(value(watch, Long.class, "SELECT count(*) FROM torn"), 0L);
        }
    }

    static void hundredConnections() throws Exception {
        try (var c = connect(); var pool = new Pool(100)) {
            execute(c, "CREATE TABLE hundred (n int)");
            var count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'";
            var together = new CyclicBarrier(100);
            var clients = IntStream.range(0, 100).mapToObj(n -> pool.threads.submit(() -> {
                try (var mine = connect("ApplicationName", "hundred"); var s = mine.prepareStatement("INSERT INTO hundred VALUES (?)")) {
                    together.await(50, TimeUnit.SECONDS);
                    s.setInt(1, n);
                    s.execute();
                    together.await(50, TimeUnit.SECONDS);
                    long seen = value(mine, Long.class, count);
                    together.await(50, TimeUnit.SECONDS);
                    return seen;
                }
            })).toList();
            for (var client : clients) equal(client.get(), 100L);
            equal(value(c, Long.class, "SELECT count(*) FROM hundred"), 100L);
            equal(value(c, Long.class, "SELECT sum(n) FROM hundred"), 4950L);
            until(() -> value(c, Long.class, count) == 0);
        }
    }

    record Pool(ExecutorService threads) implements AutoCloseable {
        Pool(int count) {
            this(Executors.newFixedThreadPool(count));
        }

        @Override
        public void close() {
            threads.shutdownNow();
        }
    }

    static void unixSocket() {
        throw new NotApplicable("the driver knows TCP only");
    }

    static Runnable unchecked(Run run) {
        return () -> {
            try {
                run.run();
            } catch (Exception error) {
                throw new CompletionException(error);
            }
        };
    }

    public static void main(String[] only) throws Exception {
        System.out.println("version " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        var all = new LinkedHashMap<String, Run>();
        all.put("simple-query", Jdbc::simpleQuery);
        all.put("extended-query", Jdbc::extendedQuery);
        all.put("prepared-names", Jdbc::preparedNames);
        all.put("pipeline-error", Jdbc::pipelineError);
        all.put("copy-in", Jdbc::copyIn);
        all.put("copy-out", Jdbc::copyOut);
        all.put("listen-notify", Jdbc::listenNotify);
        all.put("cursor", Jdbc::cursor);
        all.put("cancel", Jdbc::cancel);
        all.put("transactions", Jdbc::transactions);
        all.put("client-dies-query", Jdbc::clientDiesQuery);
        all.put("client-dies-copy", Jdbc::clientDiesCopy);
        all.put("hundred-connections", Jdbc::hundredConnections);
        all.put("unix-socket", Jdbc::unixSocket);
        boolean failed = false;
        for (var entry : all.entrySet()) {
            if (only.length > 0 && !List.of(only).contains(entry.getKey())) continue;
            long start = System.nanoTime();
            try {
                var run = CompletableFuture.runAsync(unchecked(entry.getValue()));
                try {
                    run.get(60, TimeUnit.SECONDS);
                } catch (ExecutionException error) {
                    throw error.getCause();
                }
                System.out.printf(Locale.ROOT, "ok %s %.3f%n", entry.getKey(), (System.nanoTime() - start) / 1e9);
            } catch (NotApplicable reason) {
                System.out.println("n/a " + entry.getKey() + " " + reason.getMessage());
            } catch (Throwable error) {
                failed = true;
                System.out.println("FAILED " + entry.getKey() + " " + error.toString().replaceAll("\\s+", " "));
                error.printStackTrace();
            }
        }
        System.exit(failed ? 1 : 0);
    }
}
