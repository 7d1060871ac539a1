package firth.conformance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** How many resources of each kind were validated, and which expected kinds were not. */
final class Tally {
    private static final Set<String> WORDS = Set.of("type", "mapping", "profile");

    private final ObjectMapper json = new ObjectMapper();
    private final Map<String, Integer> counts = new TreeMap<>();
    private final List<String> expected;
    private int resources;

    Tally(List<String> expected) {
        this.expected = expected;
    }

    static Tally expecting(Path file) throws Options.Wrong {
        List<String> lines;
        try {
            lines = Files.readAllLines(file).stream().map(String::strip)
                .filter(line -> !line.isEmpty() && !line.startsWith("#")).toList();
        } catch (IOException e) {
            throw new Options.Wrong("cannot read " + file + ": " + e.getMessage());
        }
        for (String line : lines) {
            // A misspelt word would otherwise be missing for ever, or worse, never looked for.
            if (!WORDS.contains(line.split(" ", 2)[0]) || line.split(" ").length != 2) {
                throw new Options.Wrong(file + ": not 'type T', 'mapping M' or 'profile P': " + line);
            }
        }
        return new Tally(lines);
    }

    void count(String text) {
        try {
            countIfResource(json.readTree(text));
        } catch (JsonProcessingException e) {
            // Text that is not JSON is of no kind; the judge has refused it.
            return;
        }
    }

    int resources() {
        return resources;
    }

    List<String> missing() {
        return expected.stream().filter(kind -> !counts.containsKey(kind)).toList();
    }

    void print(PrintStream out) {
        counts.forEach((kind, count) -> out.printf("  %s %d%n", kind, count));
    }

    private void count(JsonNode resource) {
        String type = resource.path("resourceType").asText();
        resources++;
        Set<String> kinds = new HashSet<>();
        kinds.add("type " + type);
        switch (type) {
            case "Bundle" -> kinds.add("type Bundle:" + resource.path("type").asText());
            case "OperationOutcome" -> resource.path("issue")
                .forEach(issue -> kinds.add("type OperationOutcome:" + issue.path("code").asText()));
            case "Observation" -> {
                if (resource.path("meta").has("source")) {
                    kinds.add("mapping " + resource.path("meta").path("source").asText());
                }
            }
            default -> { }
        }
        resource.path("meta").path("profile").forEach(profile -> kinds.add("profile " + profile.asText()));
        kinds.forEach(kind -> counts.merge(kind, 1, Integer::sum));
        for (JsonNode entry : resource.path("entry")) {
            countIfResource(entry.path("resource"));
            countIfResource(entry.path("response").path("outcome"));
        }
    }

    private void countIfResource(JsonNode resource) {
        if (resource.has("resourceType")) {
            count(resource);
        }
    }
}
