package firth.conformance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;

/**
 * Known-good resources must be accepted; each known-bad one is a good one with one small error, and must be refused
 * with a message about that error. So neither a lax validator nor one that refuses everything passes.
 */
final class SelfTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private SelfTest() {}

    static boolean passes(Judge judge) throws IOException {
        long start = System.nanoTime();
        JsonNode test = read("self-test.json");
        boolean passed = true;
        for (JsonNode name : test.required("good")) {
            passed &= accepts(judge, name.asText());
        }
        for (JsonNode bad : test.required("bad")) {
            passed &= refuses(judge, bad);
        }
        System.out.printf("self-test %s: %d good, %d bad, in %s%n", passed ? "passed" : "FAILED",
            test.path("good").size(), test.path("bad").size(), Main.since(start));
        return passed;
    }

    private static boolean accepts(Judge judge, String name) throws IOException {
        List<Judge.Finding> errors = judge.errors(read("good/" + name + ".json").toString());
        errors.forEach(error -> System.out.println("self-test: refused though good: " + name + ": " + error));
        return errors.isEmpty();
    }

    private static boolean refuses(Judge judge, JsonNode bad) throws IOException {
        JsonNode resource = Patch.apply(read("good/" + bad.required("good").asText() + ".json"), bad.required("patch"));
        String reason = bad.required("refusal").asText();
        List<Judge.Finding> errors = judge.errors(resource.toString());
        if (errors.stream().anyMatch(error -> error.toString().contains(reason))) {
            return true;
        }
        System.out.printf("self-test: %s: no error says '%s'%n", bad.required("name").asText(), reason);
        errors.forEach(error -> System.out.println("  it says: " + error));
        return false;
    }

    private static JsonNode read(String name) throws IOException {
        try (InputStream stream = SelfTest.class.getResourceAsStream("/self-test/" + name)) {
            if (stream == null) {
                throw new FileNotFoundException("self-test/" + name + " is not in the jar");
            }
            return JSON.readTree(stream);
        }
    }
}
