package firth.conformance;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** The add, replace and remove of JSON Patch (RFC 6902), to make one small error in a good resource. */
final class Patch {
    private Patch() {}

    static JsonNode apply(JsonNode good, JsonNode operations) {
        JsonNode document = good.deepCopy();
        for (JsonNode operation : operations) {
            JsonPointer path = JsonPointer.compile(operation.path("path").asText());
            JsonNode parent = document.at(path.head());
            String member = path.last().getMatchingProperty();
            JsonNode value = operation.path("value");
            String op = operation.path("op").asText();
            if (parent instanceof ObjectNode object) {
                change(object, op, member, value);
            } else if (parent instanceof ArrayNode array) {
                change(array, op, path.last().getMatchingIndex(), value);
            } else {
                throw new IllegalArgumentException("nothing at " + path.head());
            }
        }
        return document;
    }

    private static void change(ObjectNode object, String op, String member, JsonNode value) {
        if (object.has(member) == op.equals("add")) {
            throw new IllegalArgumentException(op + " " + member + ": it is " + (object.has(member) ? "there" : "not there"));
        }
        switch (op) {
            case "add", "replace" -> object.set(member, value);
            case "remove" -> object.remove(member);
            default -> throw new IllegalArgumentException("unknown operation " + op);
        }
    }

    private static void change(ArrayNode array, String op, int index, JsonNode value) {
        if (index < 0 || index >= array.size()) {
            throw new IllegalArgumentException(op + " " + index + ": the array has " + array.size());
        }
        switch (op) {
            case "add" -> array.insert(index, value);
            case "replace" -> array.set(index, value);
            case "remove" -> array.remove(index);
            default -> throw new IllegalArgumentException("unknown operation " + op);
        }
    }
}
