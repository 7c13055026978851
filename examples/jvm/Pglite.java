import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.ArrayList;
import java.util.List;

/** A database in this process, by JNA: {@code java -cp jna.jar:. Pglite} runs its test. */
public final class Pglite implements AutoCloseable {
    /** What of pglite.h is used here. */
    interface Api extends Library {
        Api INSTANCE = Native.load(System.getProperty("pglite.library", "pglite"), Api.class);

        interface RowCallback extends Callback {
            int row(Pointer context, Row row);
        }

        int pglite_open(String directory, Pointer options, PointerByReference database, PointerByReference error);
        int pglite_close(Pointer database, PointerByReference error);
        int pglite_session_open(Pointer database, Pointer options, PointerByReference session, PointerByReference error);
        int pglite_session_close(Pointer session, PointerByReference error);
        int pglite_session_exec(Pointer session, String sql, RowCallback callback, Pointer context, PointerByReference error);
        String pglite_error_message(Pointer error);
        String pglite_error_sqlstate(Pointer error);
        void pglite_error_free(Pointer error);
    }

    /** pglite_row. */
    @Structure.FieldOrder({"size", "statement", "columns", "names", "types", "values", "lengths"})
    public static class Row extends Structure implements Structure.ByReference {
        public long size;
        public int statement;
        public int columns;
        public Pointer names;
        public Pointer types;
        public Pointer values;
        public Pointer lengths;
    }

    /** What PostgreSQL, or libpglite, says. */
    public static final class Failure extends RuntimeException {
        public final String sqlState;

        Failure(String message, String sqlState) {
            super(message);
            this.sqlState = sqlState;
        }
    }

    /** A session, for one thread at a time. */
    public final class Session implements AutoCloseable {
        private final Pointer handle;

        private Session(Pointer handle) {
            this.handle = handle;
        }

        /** Runs statements; all rows as text. */
        public List<String[]> query(String sql) {
            List<String[]> rows = new ArrayList<>();
            Api.RowCallback callback = (context, row) -> {
                String[] values = new String[row.columns];
                for (int i = 0; i < row.columns; i++) {
                    Pointer value = row.values.getPointer((long) i * Native.POINTER_SIZE);
                    values[i] = value == null ? null : value.getString(0, "UTF-8");
                }
                rows.add(values);
                return 0;
            };
            PointerByReference error = new PointerByReference();
            check(Api.INSTANCE.pglite_session_exec(handle, sql, callback, null, error), error);
            return rows;
        }

        @Override
        public void close() {
            PointerByReference error = new PointerByReference();
            check(Api.INSTANCE.pglite_session_close(handle, error), error);
        }
    }

    private final Pointer handle;

    /** Opens the database in a directory, or ":memory:". */
    public Pglite(String directory) {
        PointerByReference database = new PointerByReference();
        PointerByReference error = new PointerByReference();
        check(Api.INSTANCE.pglite_open(directory, null, database, error), error);
        handle = database.getValue();
    }

    public Session session() {
        PointerByReference session = new PointerByReference();
        PointerByReference error = new PointerByReference();
        check(Api.INSTANCE.pglite_session_open(handle, null, session, error), error);
        return new Session(session.getValue());
    }

    @Override
    public void close() {
        PointerByReference error = new PointerByReference();
        check(Api.INSTANCE.pglite_close(handle, error), error);
    }

    private static void check(int status, PointerByReference error) {
        if (status != 0) {
            Pointer object = error.getValue();
            Failure failure =
                    new Failure(Api.INSTANCE.pglite_error_message(object), Api.INSTANCE.pglite_error_sqlstate(object));
            Api.INSTANCE.pglite_error_free(object);
            throw failure;
        }
    }

    private static void expect(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String directory = arguments[0];
        for (int round = 1; round <= 2; round++) {
            try (Pglite database = new Pglite(directory); Session session = database.session()) {
                session.query("CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)");
                String[] row = session.query("SELECT count(*), 'hällo', NULL FROM t").get(0);
                expect(row[0].equals("" + round) && row[1].equals("hällo") && row[2] == null, String.join(" ", row));
                List<Thread> threads = new ArrayList<>();
                for (int i = 0; i < 4; i++) {
                    threads.add(new Thread(() -> {
                        try (Session own = database.session()) {
                            for (int j = 0; j < 50; j++) {
                                own.query("SELECT sum(g) FROM generate_series(1, 1000) g");
                            }
                        }
                    }));
                }
                threads.forEach(Thread::start);
                for (Thread thread : threads) {
                    thread.join();
                }
                try {
                    session.query("SELECT 1/0");
                    expect(false, "an error");
                } catch (Failure failure) {
                    expect("22012".equals(failure.sqlState), failure.sqlState);
                }
            }
        }
        System.out.println("all is well");
    }
}
