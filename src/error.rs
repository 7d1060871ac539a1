//! The one error. `Kind` is a closed table: status, FHIR issue type, code, remedy.
//!
//! A room raises `Error::new(Kind::X, "what was wrong")` and may name the element with `at`.
//! The doors render it: OperationOutcome under `/fhir`, `{"error", "error_description"}` under `/oauth`,
//! `{"detail", "issue"}` elsewhere.
//! `cause` goes to the log with the request id and never to a client.

use std::fmt;
use std::panic::Location;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How one kind of failure looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The stable code, for example `time.no-zone`.
    pub code: &'static str,
    pub status: u16,
    /// R4 IssueType code (https://hl7.org/fhir/R4/valueset-issue-type.html).
    pub issue: &'static str,
    /// May the client read our words (`Issue::says`)? Otherwise it gets the remedy only.
    pub speaks: bool,
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($name:ident $code:literal $status:literal $issue:literal $speaks:literal $remedy:literal;)*) => {
        /// Every kind of failure there is. `docs/errors.md` is printed from this table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($name),* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            pub const fn wire(self) -> Wire {
                match self {
                    $(Kind::$name => Wire { code: $code, status: $status, issue: $issue, speaks: $speaks, remedy: $remedy }),*
                }
            }
        }
    };
}

kinds! {
    // The request.
    Syntax          "request.syntax"        400 "structure"    true  "Send one well-formed JSON object encoded as UTF-8.";
    Invalid         "request.invalid"       400 "invalid"      true  "Correct the named element and send the request again.";
    Parameter       "request.parameter"     400 "invalid"      true  "Correct the named parameter; the manual and GET /fhir/metadata list what each accepts.";
    ParameterUnknown "request.parameter-unknown" 400 "not-supported" true "Remove the parameter, or send Prefer: handling=lenient to have it ignored.";
    TooCostly       "request.too-costly"    400 "too-costly"   true  "Add the parameter that is named, so that fewer resources must be opened.";
    Envelope        "request.envelope"      422 "structure"    true  "Correct the named member of the upload's envelope.";
    Unprocessable   "request.unprocessable" 422 "invalid"      true  "Correct the named element and send the request again.";
    TooLarge        "request.too-large"     413 "too-long"     true  "Split the body; FIRTH_MAX_UPLOAD_BYTES and FIRTH_MAX_REQUEST_BYTES are the limits after decompression.";
    Timeout         "request.timeout"       408 "timeout"      true  "Send the whole body within the time limit.";
    NotAcceptable   "request.not-acceptable" 406 "not-supported" true "Ask for application/fhir+json.";
    MediaType       "request.media-type"    415 "not-supported" true "Send the media type that is named.";
    Method          "request.method"        405 "not-supported" true "Use a method that the Allow header names.";
    Throttled       "request.throttled"     429 "throttled"    true  "Wait as long as Retry-After says.";
    // Who asks.
    Unauthenticated "auth.required"         401 "login"        true  "Show a credential that is valid now; most requests take Authorization: Bearer TOKEN.";
    Reused          "auth.refresh-reused"   401 "login"        true  "Get new tokens from the app. If the SDK did not send it twice itself, somebody has a copy: find out who.";
    Expired         "auth.expired"          401 "expired"      true  "Refresh the token and send the request again.";
    SignInStale     "auth.sign-in-stale"    401 "login"        true  "Sign in again (max_age of the authorization request, RFC 9470), and send the request with the new token.";
    TokenPlace      "auth.token-place"      401 "login"        true  "Send the token once, in the header Authorization: Bearer TOKEN (RFC 6750 section 2.1).";
    Forbidden       "auth.forbidden"        403 "forbidden"    true  "Use a token whose role and scopes allow this.";
    ProofRefused    "auth.dpop-proof"       401 "login"        true  "Send Authorization: DPoP TOKEN with a DPoP proof made for this request (RFC 9449); a bound token is no Bearer token.";
    // The authorization server (RFC 6749 section 5.2, RFC 7591 section 3.2.2, RFC 9449 section 5).
    ClientUnknown   "oauth.invalid-client"  401 "login"        true  "Prove the client as it was registered: by its secret, by a private_key_jwt assertion, or as a public client by client_id alone.";
    ClientUnfit     "oauth.unauthorized-client" 400 "forbidden" true "Have the operator approve the client, or register it for this grant type.";
    GrantUnknown    "oauth.invalid-grant"   400 "invalid"      true  "Begin again with an authorization request: codes and refresh tokens are good once, and end.";
    GrantReused     "oauth.grant-reused"    400 "security"     true  "Begin again with an authorization request. If the client did not send it twice itself, somebody has a copy: find out who.";
    GrantType       "oauth.unsupported-grant-type" 400 "not-supported" true "Use authorization_code, refresh_token or client_credentials.";
    ScopeRefused    "oauth.invalid-scope"   400 "forbidden"    true  "Ask for scopes that the client is registered for and its role allows.";
    TargetRefused   "oauth.invalid-target"  400 "not-supported" true "Leave resource out, or give the FHIR base as the discovery documents do.";
    ProofInvalid    "oauth.invalid-dpop-proof" 400 "invalid"   true  "Send one DPoP proof, made for this request and not sent before (RFC 9449 section 4).";
    RedirectRefused "oauth.invalid-redirect-uri" 400 "invalid" true  "Register redirect URIs of https, of http on a loopback address, or of a private-use scheme, without fragment.";
    MetadataRefused "oauth.invalid-client-metadata" 400 "invalid" true "Correct the named member of the client's metadata.";
    // What is asked for.
    NotFound        "resource.not-found"    404 "not-found"    true  "Check the id; a resource you may not see looks the same.";
    Gone            "resource.deleted"      410 "deleted"      true  "The resource was deleted; its history may still be read.";
    LinkOver        "request.link-over"     410 "not-found"    true  "Search anew: a next link is good for 24 hours.";
    Precondition    "resource.precondition" 412 "conflict"     true  "Read the current version, and send the request again with its ETag.";
    NoCriteria      "request.no-criteria"   412 "required"     true  "Send search parameters that select one resource, for example identifier=SYSTEM|VALUE.";
    ManyMatch       "resource.many-match"   412 "multiple-matches" true "Ask for less, so that one resource answers.";
    Referenced      "resource.referenced"   409 "conflict"     true  "Change or delete the resources that point to it first.";
    ReferenceUnknown "reference.not-found"  422 "not-found"    true  "Point to a resource that exists, or send both in one transaction.";
    Conflict        "resource.conflict"     409 "conflict"     true  "Read the current state and decide again.";
    Duplicate       "resource.duplicate"    409 "duplicate"    true  "Use the one that exists already.";
    UserHasData     "user.has-data"         409 "conflict"     true  "A user with data cannot be deleted yet; tokens and codes were revoked.";
    // One record of an upload.
    JsonDuplicateKey "json.duplicate-key"   422 "structure"    true  "Send each member once.";
    JsonDepth       "json.depth"            422 "structure"    true  "Nest at most 64 levels.";
    JsonShape       "json.shape"            422 "structure"    true  "Send the record as an object with the members its type needs.";
    TypeUnmapped    "type.unmapped"         422 "not-supported" true "Nothing to do: the raw record is kept and can be replayed once a mapping exists.";
    FieldMissing    "field.missing"         422 "required"     true  "Send the named field.";
    FieldTooLong    "field.too-long"        422 "too-long"     true  "Shorten the named field.";
    TimeInvalid     "time.invalid"          422 "value"        true  "Send an RFC 3339 date and time.";
    TimeNoZone      "time.no-zone"          422 "value"        true  "Send the time with Z or an offset, or give zoneOffset.";
    TimeReversed    "time.reversed"         422 "value"        true  "Send an end that is not before the start.";
    UnitUnknown     "unit.unknown"          422 "code-invalid" true  "Send one of the units that the mapping names.";
    ValueRange      "value.range"           422 "value"        true  "Send a value within the range that the mapping names.";
    ValueNotANumber "value.not-a-number"    422 "value"        true  "Send a JSON number with a finite value.";
    ValueUnknown    "value.unknown"         422 "code-invalid" true  "Send one of the values that the mapping names.";
    TextNul         "text.nul"              422 "value"        true  "Remove the NUL character.";
    // One record of an upload whose Observation was written through FHIR.
    SampleEdited    "sample.edited"         409 "conflict"     true  "Nothing to do: the Observation stays as it was edited; whoever wants the record's value puts it there through FHIR.";
    SampleDeleted   "sample.deleted"        409 "deleted"      true  "Nothing to do: the Observation stays deleted; whoever wants it back puts it there through FHIR.";
    // This server.
    MappingInvalid  "mapping.invalid"       500 "exception"    true  "Correct the mapping file at the named line.";
    Busy            "server.busy"           503 "transient"    true  "Send the request again after Retry-After seconds.";
    TooSlow         "server.too-slow"       503 "too-costly"   true  "Ask for less (add identifier, patient, _id or a date, or lower _count), or try again later; FIRTH_QUERY_TIMEOUT_SECS is the limit.";
    Sealed          "server.sealed"         500 "exception"    false "Stored data could not be opened; give the operator the request id.";
    Bug             "server.bug"            500 "exception"    false "Give the operator the request id.";
    // Refusals to start; `status` is the exit code (sysexits.h where it has one).
    Usage           "start.usage"            64 "invalid"      true  "Run firth --help.";
    Unreachable     "start.unreachable"      69 "transient"    true  "Start the database or correct FIRTH_DATABASE_URL.";
    Unwritable      "start.unwritable"       73 "exception"    true  "Make the directory writable for this user, or name another with --data-dir.";
    Locked          "start.locked"           75 "lock-error"   true  "Stop the other process, or name another directory with --data-dir.";
    Schema          "start.schema"           76 "exception"    true  "Run the binary that made the schema, or firth migrate.";
    Setting         "start.setting"          78 "invalid"      true  "Correct the setting; firth print settings lists them all.";
    PortBusy        "start.port-busy"        98 "exception"    true  "Stop the process that listens there, or name another address with --listen.";
}

/// One thing that is wrong: what, and where (a FHIRPath expression, a parameter, a JSON path).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    pub says: String,
    pub at: Option<String>,
    /// An R4 IssueType that says more than that of the kind.
    pub code: Option<&'static str>,
}

impl Issue {
    pub fn new(says: impl Into<String>, at: Option<String>) -> Issue {
        Issue { says: says.into(), at, code: None }
    }
}

pub struct Error {
    pub kind: Kind,
    pub issues: Vec<Issue>,
    /// For the log only.
    pub cause: Option<String>,
    /// Whose data the refusal tells of, for the audit entry only: the id of a Patient.
    pub about: Option<String>,
    pub raised: &'static Location<'static>,
}

impl Error {
    #[track_caller]
    pub fn new(kind: Kind, says: impl Into<String>) -> Error {
        Error { kind, issues: vec![Issue::new(says, None)], cause: None, about: None, raised: Location::caller() }
    }

    /// A failure of ours: the words go to the log, the client gets the remedy and the request id.
    #[track_caller]
    pub fn bug(cause: impl fmt::Display) -> Error {
        Error {
            kind: Kind::Bug,
            issues: vec![Issue::new(Kind::Bug.wire().remedy, None)],
            cause: Some(cause.to_string()),
            about: None,
            raised: Location::caller(),
        }
    }

    /// Names the element, parameter or path that is wrong.
    pub fn at(mut self, at: impl Into<String>) -> Error {
        if let Some(issue) = self.issues.last_mut() {
            issue.at = Some(at.into());
        }
        self
    }

    pub fn because(mut self, cause: impl fmt::Display) -> Error {
        self.cause = Some(cause.to_string());
        self
    }

    pub fn about(mut self, patient: impl fmt::Display) -> Error {
        self.about = Some(patient.to_string());
        self
    }

    /// What the first issue says; every error has one.
    pub fn says(&self) -> &str {
        self.issues.first().map_or("", |issue| issue.says.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.wire().code, self.says())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}:{}: {:?}", self.kind, self.raised.file(), self.raised.line(), self.issues)?;
        match &self.cause {
            Some(cause) => write!(f, " because {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.wire().code).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
