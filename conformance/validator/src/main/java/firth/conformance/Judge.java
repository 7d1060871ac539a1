package firth.conformance;

import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import java.util.Set;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;

/** The official instance validator, set as strict as it goes. No message is ever ignored. */
final class Judge {
    /** Our LOINC code system is a fragment, and R4 makes a code outside a fragment a mere warning. */
    private static final String OUTSIDE_FRAGMENT = "Unknown code in fragment";

    private static final ObjectMapper STRICT_JSON = JsonMapper.builder()
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .configure(JsonParser.Feature.STRICT_DUPLICATE_DETECTION, true)
        .build();

    private final FhirValidator validator;

    Judge(Definitions definitions) {
        FhirInstanceValidator module = new FhirInstanceValidator(definitions.chain());
        // Without this advisor the profiles that R4 implies by LOINC code (the vital signs) are not applied.
        // References are not followed: what they point at is in another file or on no server at all.
        module.setValidatorPolicyAdvisor(
            new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.IGNORE, Set.of()));
        module.setErrorForUnknownProfiles(true);
        module.setAnyExtensionsAllowed(false);
        validator = definitions.context().newValidator().registerValidatorModule(module);
    }

    /** What is wrong with one resource, given as the text that a client would receive. */
    List<Finding> errors(String resource) {
        return messages(resource).stream().filter(Finding::isError).toList();
    }

    List<Finding> messages(String resource) {
        try {
            // The validator would read XML as well, and a client that asked for JSON would not.
            STRICT_JSON.readTree(resource);
            return validator.validateWithResult(resource).getMessages().stream().map(Finding::of).toList();
        } catch (JsonProcessingException e) {
            return List.of(new Finding("FATAL", "$", "not JSON: " + e.getOriginalMessage()));
        } catch (RuntimeException e) {
            // The validator throws on text that it cannot read as a resource, and on a profile that it cannot build.
            return List.of(new Finding("FATAL", "$", String.valueOf(e.getMessage())));
        }
    }

    record Finding(String severity, String location, String message) {
        static Finding of(SingleValidationMessage message) {
            ResultSeverityEnum severity = message.getSeverity();
            boolean fragment = message.getMessage() != null && message.getMessage().contains(OUTSIDE_FRAGMENT);
            return new Finding(
                fragment ? ResultSeverityEnum.ERROR.name() : severity.name(),
                String.valueOf(message.getLocationString()),
                String.valueOf(message.getMessage()));
        }

        boolean isError() {
            return severity.equals("ERROR") || severity.equals("FATAL");
        }

        /** Without what only we count as an error. */
        boolean isOfficialError() {
            return isError() && !message.contains(OUTSIDE_FRAGMENT);
        }

        /** One line of a table. */
        String brief() {
            String line = (location + ": " + message).replaceAll("\\s+", " ");
            return line.length() > 160 ? line.substring(0, 160) + ".." : line;
        }

        @Override
        public String toString() {
            return location + ": " + severity + ": " + message;
        }
    }
}
