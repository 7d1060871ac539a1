package firth.conformance;

import ca.uhn.fhir.parser.DataFormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Validates FHIR R4 resources with the official HL7 validator, without a network. */
public final class Main {
    static final int FINE = 0;
    static final int INVALID = 1;
    static final int MISSING = 2;
    static final int UNFIT = 3;
    static final int USAGE = 64;

    private Main() {}

    public static void main(String[] arguments) throws IOException {
        System.exit(run(arguments));
    }

    private static int run(String[] arguments) throws IOException {
        Options options;
        Tally tally;
        try {
            options = Options.parse(arguments);
            tally = options.expect() == null ? new Tally(List.of()) : Tally.expecting(options.expect());
        } catch (Options.Wrong wrong) {
            System.err.println("validator: " + wrong.getMessage());
            System.err.println(Options.USAGE);
            return USAGE;
        }
        Judge judge;
        try {
            judge = prepare(options);
        } catch (IOException | DataFormatException e) {
            System.err.println("validator: the definitions cannot be loaded: " + e);
            return UNFIT;
        }
        // A validator that lets a known error pass would call anything fine, so it has to prove itself first.
        if (!SelfTest.passes(judge)) {
            return UNFIT;
        }
        if (options.verdicts() != null) {
            return write(judge, options.directories(), options.verdicts());
        }
        return options.selfTestOnly() ? FINE : validate(judge, options.directories(), tally);
    }

    private static Judge prepare(Options options) throws IOException {
        long start = System.nanoTime();
        Definitions definitions = new Definitions();
        definitions.addConformance(options.conformance());
        if (options.shared() != null) {
            definitions.addShared(options.shared());
        }
        System.out.printf("loaded %d definitions in %s%n", definitions.count(), since(start));
        return new Judge(definitions);
    }

    private static int validate(Judge judge, List<Path> directories, Tally tally) throws IOException {
        long start = System.nanoTime();
        int files = 0;
        int errors = 0;
        for (Path directory : directories) {
            for (Path file : jsonFiles(directory)) {
                files++;
                List<Judge.Finding> findings = validate(judge, file, tally);
                findings.forEach(finding -> System.out.println(file + ": " + finding));
                errors += findings.size();
            }
        }
        System.out.printf("validated %d resources in %d files in %s: %d errors%n", tally.resources(), files, since(start), errors);
        tally.print(System.out);
        List<String> missing = tally.missing();
        missing.forEach(kind -> System.out.println("missing: nothing validated is of the expected kind: " + kind));
        if (errors > 0) {
            return INVALID;
        }
        // Nothing to judge is a wrong directory far more often than it is success.
        return missing.isEmpty() && files > 0 ? FINE : MISSING;
    }

    /** What the official validator says of each file, whatever it is. */
    private static int write(Judge judge, List<Path> directories, Path verdicts) throws IOException {
        List<String> lines = new ArrayList<>();
        for (Path directory : directories) {
            for (Path file : jsonFiles(directory)) {
                String name = file.getFileName().toString().replaceFirst("\\.json$", "");
                Optional<Judge.Finding> error = judge.messages(Files.readString(file)).stream()
                    .filter(Judge.Finding::isOfficialError).findFirst();
                lines.add(name + error.map(it -> "\trefused\t" + it.brief()).orElse("\taccepted"));
            }
        }
        Files.write(verdicts, lines);
        System.out.printf("wrote %d verdicts to %s%n", lines.size(), verdicts);
        return lines.isEmpty() ? MISSING : FINE;
    }

    private static List<Judge.Finding> validate(Judge judge, Path file, Tally tally) {
        String text;
        try {
            text = Files.readString(file);
        } catch (IOException e) {
            return List.of(new Judge.Finding("FATAL", "$", "cannot be read as UTF-8 text: " + e));
        }
        tally.count(text);
        return judge.errors(text);
    }

    static List<Path> jsonFiles(Path directory) throws IOException {
        try (Stream<Path> paths = Files.walk(directory)) {
            return paths.filter(path -> path.toString().endsWith(".json") && Files.isRegularFile(path)).sorted().toList();
        }
    }

    static String since(long start) {
        return String.format("%.1f s", (System.nanoTime() - start) / 1e9);
    }
}
