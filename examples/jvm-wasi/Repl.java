import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * A prompt for SQL.
 *
 * <pre>
 * mvn dependency:copy-dependencies -DoutputDirectory=lib
 * javac -cp 'lib/*' *.java
 * java -cp 'lib/*:.' Repl MODULES PREFIX
 * </pre>
 */
final class Repl {
    public static void main(String[] arguments) throws Exception {
        Backend.run(() -> {
            var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            try (var backend = new Backend(Path.of(arguments[0]), Path.of(arguments[1]), System.out)) {
                System.out.print("sql> ");
                for (String line; (line = lines.readLine()) != null; ) {
                    backend.text(line + "\n");
                    System.out.print("sql> ");
                }
                System.out.println();
            }
            return null;
        });
    }
}
