package firth.conformance;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The command line. */
record Options(Path conformance, Path shared, Path expect, Path verdicts, boolean selfTestOnly, List<Path> directories) {
    static final String USAGE = """
        usage: validator.jar [--conformance DIR] [--shared DIR] [--expect FILE] DIR...
               validator.jar [--conformance DIR] [--shared DIR] --verdicts FILE DIR...
               validator.jar [--conformance DIR] [--shared DIR] --self-test
          --conformance DIR  holds profiles/ and CodeSystem-loinc.json; default: three levels above the jar
          --shared DIR       more profiles, in DIR/profiles/; skipped when there is no such directory
          --expect FILE      kinds that must be among the validated, one a line: 'type T', 'mapping M', 'profile P'
          --verdicts FILE    write a line for each file: its name, accepted or refused, and the first error
          --self-test        only refuse the known-bad and accept the known-good resources
        exit: 0 fine, 1 validation errors, 2 an expected kind is missing, 3 the self-test failed, 64 usage""";

    static Options parse(String[] arguments) throws Wrong {
        Path conformance = null;
        Path shared = null;
        Path expect = null;
        Path verdicts = null;
        boolean selfTestOnly = false;
        List<Path> directories = new ArrayList<>();
        for (int i = 0; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--conformance" -> conformance = directory(value(arguments, ++i));
                case "--shared" -> shared = Path.of(value(arguments, ++i));
                case "--expect" -> expect = Path.of(value(arguments, ++i));
                case "--verdicts" -> verdicts = Path.of(value(arguments, ++i));
                case "--self-test" -> selfTestOnly = true;
                default -> directories.add(operand(arguments[i]));
            }
        }
        if (selfTestOnly != directories.isEmpty()) {
            throw new Wrong(selfTestOnly ? "--self-test takes no DIR" : "no DIR to validate");
        }
        return new Options(conformance == null ? besideJar() : conformance, shared, expect, verdicts, selfTestOnly, directories);
    }

    private static String value(String[] arguments, int index) throws Wrong {
        if (index >= arguments.length) {
            throw new Wrong(arguments[index - 1] + " needs a value");
        }
        return arguments[index];
    }

    private static Path operand(String argument) throws Wrong {
        if (argument.startsWith("-")) {
            throw new Wrong("unknown option " + argument);
        }
        return directory(argument);
    }

    private static Path directory(String argument) throws Wrong {
        Path path = Path.of(argument);
        if (!Files.isDirectory(path)) {
            throw new Wrong(argument + " is not a directory");
        }
        return path;
    }

    /** The jar is conformance/validator/target/validator.jar wherever the checkout is. */
    private static Path besideJar() throws Wrong {
        try {
            Path jar = Path.of(Options.class.getProtectionDomain().getCodeSource().getLocation().toURI());
            return jar.resolve("../../..").normalize();
        } catch (URISyntaxException e) {
            throw new Wrong("cannot tell where the jar is: give --conformance");
        }
    }

    static final class Wrong extends Exception {
        private static final long serialVersionUID = 1;

        Wrong(String message) {
            super(message);
        }
    }
}
