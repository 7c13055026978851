import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The test: {@code java -cp 'lib/*:.' Check MODULES PREFIX}, with a prefix that is not there yet. */
final class Check {
    private static void expect(boolean condition, Object what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void expect(Backend backend, String sql, String... parts) {
        String reply = new String(backend.wire(Backend.query(sql)), StandardCharsets.UTF_8);
        for (String part : parts) {
            expect(reply.contains(part), sql.substring(0, Math.min(sql.length(), 100)) + ": " + reply.substring(0, Math.min(reply.length(), 1000)));
        }
    }

    private static Void check(Path modules, Path prefix) throws Exception {
        var output = new ByteArrayOutputStream();
        long begin = System.nanoTime();
        try (var backend = new Backend(modules, prefix, output)) {
            expect(backend.status == (Backend.CALLED | Backend.HAS_USER), backend.status);
            backend.text("SELECT 'häl' ||\n");
            backend.text(" 'lo' AS word;\nSELECT 1/0;\n");
            String text = output.toString(StandardCharsets.UTF_8);
            expect(text.equals(" word  \n-------\n hällo\n(1 row)\n\nERROR:  division by zero\n"), text);
            expect(backend, "CREATE FUNCTION caught() RETURNS text AS $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN "
                    + "RETURN 'caught'; END $$ LANGUAGE plpgsql");
            expect(backend, "SELECT caught(); SELECT 1/0", "caught", "22012");
            expect(backend, "SELECT repeat('x', 20000000)", "x".repeat(20000000));
            expect(backend, "CREATE FUNCTION deep(n int) RETURNS int AS 'SELECT deep(n + 1)' LANGUAGE sql; SELECT deep(1)", "54001");
            expect(backend, "SET statement_timeout = 1000; SELECT count(*) FROM generate_series(1, 1e12)", "57014");
            expect(backend, "RESET statement_timeout; CREATE TABLE t AS SELECT generate_series(1, 1000) AS a", "SELECT 1000");
        }
        long middle = System.nanoTime();
        try (var backend = new Backend(modules, prefix, output)) {
            expect(backend.status == (Backend.HAS_DATABASE | Backend.HAS_USER), backend.status);
            expect(backend, "SELECT sum(a) FROM t", "500500");
            System.err.printf("%d ms to begin again, after %d ms%n", (System.nanoTime() - middle) / 1000000, (middle - begin) / 1000000);
            byte[] query = Backend.query("SELECT 1");
            for (int round = 0; round < 20; round++) {
                long start = System.nanoTime();
                for (int i = 0; i < 100; i++) {
                    backend.wire(query);
                }
                if (round % 5 == 4) {
                    System.err.printf("%d us per SELECT 1%n", (System.nanoTime() - start) / 100000);
                }
            }
        }
        System.out.println("all is well");
        return null;
    }

    public static void main(String[] arguments) throws Exception {
        Backend.run(() -> check(Path.of(arguments[0]), Path.of(arguments[1])));
    }
}
