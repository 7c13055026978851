import com.dylibso.chicory.compiler.Cache;
import com.dylibso.chicory.compiler.InterpreterFallback;
import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.runtime.ByteArrayMemory;
import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasi.WasiOptions;
import com.dylibso.chicory.wasi.WasiPreview1;
import com.dylibso.chicory.wasm.Parser;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;

/** The backend of one instance of libpglite.wasm in Chicory, which is Java and nothing else. For the thread that {@link #run} makes. */
public final class Backend implements AutoCloseable {
    /** The status of pgl_initdb. */
    public static final int FAILED = 1, CALLED = 2, HAS_DATABASE = 4, HAS_USER = 8;

    /** As {@code __WASI_ERRNO_NOENT} and {@code IO}. */
    private static final long NO_ENTRY = 44, INPUT_OUTPUT = 29;

    /** What pgl_initdb says. */
    public final int status;

    private final Instance instance;
    private final Memory memory;
    private final WasiPreview1 wasi;
    private final Path data;
    private final FileChannel lock;

    /** Runs on a thread whose stack is deep enough for PostgreSQL's recursions, in frames of the JVM. */
    public static <T> T run(Callable<T> work) throws Exception {
        FutureTask<T> task = new FutureTask<>(work);
        new Thread(null, task, "pglite", 512L << 20).start();
        return task.get();
    }

    /** Begins. {@code modules} is the folder of libpglite.wasm, {@code place} a directory; tables of {@link #text} go to {@code output}. */
    public Backend(Path modules, Path place, OutputStream output) throws IOException {
        Path prefix = place.toAbsolutePath().normalize();
        Files.createDirectories(prefix);
        data = prefix.resolve("base");
        // Inside, every process has the same number: the module cannot see that somebody else has the directory.
        lock = FileChannel.open(prefix.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (lock.tryLock() == null) {
            throw new IOException(prefix + " is in use");
        }
        WasiOptions.Builder options = WasiOptions.builder()
                .withDirectory("/pglite", modules.resolve("root"))
                .withDirectory("/tmp/pglite", prefix)
                .withStdout(output)
                .withStderr(System.err);
        for (Map.Entry<String, String> variable : System.getenv().entrySet()) {
            if (variable.getKey().startsWith("PG") && !variable.getKey().equals("PGDATA")) {
                options = options.withEnvironment(variable.getKey(), variable.getValue());
            }
        }
        wasi = WasiPreview1.builder().withOptions(options.build()).build();
        HostFunction[] functions = wasi.toHostFunctions();
        for (int i = 0; i < functions.length; i++) {
            if (functions[i].name().equals("path_rename")) {
                functions[i] = rename(functions[i], prefix);
            }
        }
        var module = Parser.parse(modules.resolve("libpglite.wasm"));
        var compiler = MachineFactoryCompiler.builder(module)
                .withCache(new Folder(modules.resolve("chicory")))
                // Three functions are larger than a method of the JVM may be.
                .withInterpreterFallback(InterpreterFallback.SILENT);
        instance = Instance.builder(module)
                .withImportValues(ImportValues.builder().addFunction(functions).build())
                .withMachineFactory(compiler.compile())
                .withMemoryFactory(ByteArrayMemory::new)
                .build();
        memory = instance.memory();
        call("_initialize");
        status = call("pgl_initdb");
        if ((status & FAILED) != 0 || call("pgl_backend") != 0) {
            throw new IOException("the backend does not begin; the reason is on standard error");
        }
    }

    /**
     * Chicory's own asks to copy attributes, which a real file system refuses: it fails always. Both directories of a rename are the prefix, since the
     * module changes nothing elsewhere.
     */
    private static HostFunction rename(HostFunction like, Path prefix) {
        return new HostFunction(like.module(), like.name(), like.functionType(), (instance, arguments) -> {
            Path from = prefix.resolve(instance.memory().readString((int) arguments[1], (int) arguments[2])).normalize();
            Path to = prefix.resolve(instance.memory().readString((int) arguments[4], (int) arguments[5])).normalize();
            try {
                if (!from.startsWith(prefix) || !to.startsWith(prefix)) {
                    throw new IOException("outside of " + prefix);
                }
                Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
                return new long[] {0};
            } catch (NoSuchFileException e) {
                return new long[] {NO_ENTRY};
            } catch (IOException e) {
                return new long[] {INPUT_OUTPUT};
            }
        });
    }

    /** Compiled modules, so that only the first start waits for the compiler. */
    private record Folder(Path path) implements Cache {
        private Path file(String key) {
            return path.resolve(key.replaceAll("[^A-Za-z0-9]", "_"));
        }

        @Override
        public byte[] get(String key) throws IOException {
            return Files.exists(file(key)) ? Files.readAllBytes(file(key)) : null;
        }

        @Override
        public void putIfAbsent(String key, byte[] value) throws IOException {
            Files.createDirectories(path);
            Path partial = Files.createTempFile(path, "new", null);
            Files.write(partial, value);
            Files.move(partial, file(key), StandardCopyOption.ATOMIC_MOVE);
        }
    }

    private int call(String name, long... arguments) {
        long[] results = instance.export(name).apply(arguments);
        return results == null || results.length == 0 ? 0 : (int) results[0];
    }

    /** Sends messages of the protocol through the memory area, which begins at address 1; the reply. */
    public byte[] wire(byte[] message) {
        call("use_wire", 1);
        memory.write(1, message);
        call("interactive_write", message.length);
        call("interactive_one");
        int size = call("interactive_read");
        if (size >= 0) {
            return memory.readBytes(2 + message.length, size);
        }
        // It did not fit.
        Path path = data.resolve(".s.PGSQL.5432.out." + -size);
        try {
            byte[] reply = Files.readAllBytes(path);
            Files.delete(path);
            return reply;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A simple query message. */
    public static byte[] query(String sql) {
        byte[] text = sql.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(text.length + 6).put((byte) 'Q').putInt(text.length + 5).put(text).put((byte) 0).array();
    }

    /** Runs what psql would take; a statement that has not ended waits for the next text. */
    public void text(String sql) {
        call("use_wire", 0);
        memory.write(1, (sql + "\0").getBytes(StandardCharsets.UTF_8));
        call("interactive_one");
    }

    @Override
    public void close() throws IOException {
        call("pgl_shutdown");
        wasi.close();
        lock.close();
    }
}
