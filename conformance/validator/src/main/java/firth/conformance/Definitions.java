package firth.conformance;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.parser.StrictErrorHandler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.r4.model.MetadataResource;
import org.hl7.fhir.instance.model.api.IBaseResource;

/** Every profile, value set and code system that is known beyond those of R4 itself. */
final class Definitions {
    private static final List<String> SHARED_GUIDES = List.of("balp", "phr", "phd", "cgm", "us-core");

    private final FhirContext context = FhirContext.forR4();
    private final PrePopulatedValidationSupport loaded = new PrePopulatedValidationSupport(context);
    private final Set<String> urls = new HashSet<>();

    void addConformance(Path conformance) throws IOException {
        add(conformance.resolve("CodeSystem-loinc.json"));
        addAll(conformance.resolve("profiles"));
    }

    void addShared(Path shared) throws IOException {
        for (String guide : SHARED_GUIDES) {
            Path directory = shared.resolve("profiles").resolve(guide);
            if (Files.isDirectory(directory)) {
                addAll(directory);
            }
        }
    }

    int count() {
        return urls.size();
    }

    FhirContext context() {
        return context;
    }

    /** The chain that answers the validator's questions; the first that knows an answer gives it. */
    @SuppressWarnings("deprecation")
    IValidationSupport chain() {
        UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(context);
        // A vendor's own system can be known to nobody; a code outside a known system stays an error.
        unknown.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
        return new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            loaded,
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new SnapshotGeneratingValidationSupport(context),
            unknown);
    }

    private void addAll(Path directory) throws IOException {
        for (Path file : Main.jsonFiles(directory)) {
            add(file);
        }
    }

    private void add(Path file) throws IOException {
        IParser parser = context.newJsonParser();
        parser.setParserErrorHandler(new StrictErrorHandler());
        IBaseResource resource = parser.parseResource(Files.readString(file));
        // The committed definitions come first, so what is shared can add to them but never soften them.
        if (resource instanceof MetadataResource definition && urls.add(definition.getUrl())) {
            loaded.addResource(resource);
        }
    }
}
