-- Who signs in, which apps ask, and what they were granted. What a person wrote is sealed; a secret is kept as its SHA-256.
-- status: 1 waits for approval, 2 in force, 3 disabled. A sealed column is bound to its row's version.
CREATE TABLE client (
    client BYTEA PRIMARY KEY,
    status SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    secret BYTEA,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- A login; the people whose data is uploaded are in app_user.
CREATE TABLE account (
    account BYTEA PRIMARY KEY,
    name_hash BIGINT NOT NULL,
    fhir_user_hash BIGINT,
    status SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    totp_step BIGINT,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_name ON account (name_hash);
CREATE INDEX account_fhir_user ON account (fhir_user_hash);

-- The subject of an upstream OpenID Provider, as a keyed hash of issuer and subject.
CREATE TABLE account_link (
    subject BYTEA PRIMARY KEY,
    account BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX account_link_account ON account_link (account);

-- Sign-ins that failed, by keyed hashes of the name, the address and both; unknown names count like known ones.
CREATE TABLE sign_in_failure (
    hash BIGINT PRIMARY KEY,
    failures INTEGER NOT NULL,
    blocked_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_failure_expires ON sign_in_failure (expires_at);

-- A browser in which somebody has signed in.
CREATE TABLE session (
    secret BYTEA PRIMARY KEY,
    session BYTEA NOT NULL,
    account BYTEA NOT NULL,
    auth_time BIGINT,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX session_id ON session (session);
CREATE INDEX session_account ON session (account);

-- What a client was granted, by an account or, of a backend service, by its registration.
CREATE TABLE grant_made (
    grant_made BYTEA PRIMARY KEY,
    client BYTEA NOT NULL,
    account BYTEA,
    session BYTEA,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX grant_made_client ON grant_made (client);
CREATE INDEX grant_made_account ON grant_made (account);
CREATE INDEX grant_made_session ON grant_made (session);
CREATE INDEX grant_made_expires ON grant_made (expires_at);

-- Codes (1) and refresh tokens (2) of a grant: each is good once. jkt: only with a proof of this key (RFC 9449).
CREATE TABLE grant_secret (
    secret BYTEA PRIMARY KEY,
    grant_made BYTEA NOT NULL,
    kind SMALLINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    jkt BYTEA
);
CREATE INDEX grant_secret_grant ON grant_secret (grant_made);
CREATE INDEX grant_secret_expires ON grant_secret (expires_at);

-- The launch parameter of an EHR launch: good once.
CREATE TABLE launch (
    secret BYTEA PRIMARY KEY,
    client BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX launch_expires ON launch (expires_at);

-- What may be shown once only until it expires: jti of client assertions and DPoP proofs, codes of TOTP.
CREATE TABLE shown_once (
    hash BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX shown_once_expires ON shown_once (expires_at);

-- The keys that sign tokens.
CREATE TABLE signing_key (
    kid TEXT PRIMARY KEY,
    family SMALLINT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

-- Emergency access of one user by one client to one patient.
CREATE TABLE break_glass (
    break_glass BYTEA PRIMARY KEY,
    account BYTEA NOT NULL,
    client BYTEA NOT NULL,
    patient BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    granted_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    reviewed_at BIGINT,
    review BYTEA
);
CREATE INDEX break_glass_account ON break_glass (account, client, expires_at);
CREATE INDEX break_glass_ended ON break_glass (expires_at) WHERE ended_at IS NULL;
CREATE INDEX break_glass_reviewed ON break_glass (granted_at) WHERE reviewed_at IS NULL;
