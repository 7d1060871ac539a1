//! The tables of `migrations/`, as diesel sees them. A test compares the two.

diesel::allow_tables_to_appear_in_same_query!(upload, raw_segment);
diesel::allow_tables_to_appear_in_same_query!(shelf, patient_shelf);
diesel::allow_tables_to_appear_in_same_query!(doc_term, doc_key, patient_shelf);
diesel::allow_tables_to_appear_in_same_query!(directory, doc_key);
diesel::allow_tables_to_appear_in_same_query!(credential, credential_patient, app_user, patient_shelf);
diesel::allow_tables_to_appear_in_same_query!(client, account, account_link, session, grant_made, grant_secret);

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    store_key (kind, version) {
        kind -> SmallInt,
        version -> Integer,
        wrapped -> Binary,
    }
}

diesel::table! {
    shelf (shelf_) {
        #[sql_name = "shelf"]
        shelf_ -> BigInt,
        wrapped -> Binary,
    }
}

diesel::table! {
    patient_shelf (shelf) {
        shelf -> BigInt,
        patient -> Binary,
        born -> Binary,
    }
}

diesel::table! {
    patient_merge (source) {
        source -> Binary,
        target -> Binary,
        source_before -> Integer,
        target_before -> Integer,
    }
}

diesel::table! {
    directory (type_, id, since) {
        #[sql_name = "type"]
        type_ -> SmallInt,
        id -> Binary,
        since -> Integer,
        shelf -> BigInt,
    }
}

diesel::table! {
    document (shelf, type_, id, version) {
        shelf -> BigInt,
        #[sql_name = "type"]
        type_ -> SmallInt,
        id -> Binary,
        version -> Integer,
        seq -> BigInt,
        committed_at -> BigInt,
        deleted -> Bool,
        body -> Binary,
        upsert -> Bool,
    }
}

diesel::table! {
    doc_key (doc) {
        doc -> BigInt,
        shelf -> BigInt,
        #[sql_name = "type"]
        type_ -> SmallInt,
        id -> Binary,
        version -> Integer,
        seq -> BigInt,
        committed_at -> BigInt,
        lo -> BigInt,
        hi -> BigInt,
        present -> BigInt,
        terms -> Binary,
    }
}

diesel::table! {
    doc_term (hash, type_, doc) {
        hash -> BigInt,
        #[sql_name = "type"]
        type_ -> SmallInt,
        doc -> BigInt,
    }
}

diesel::table! {
    doc_date (doc, param_hash, lo, hi) {
        doc -> BigInt,
        param_hash -> BigInt,
        lo -> BigInt,
        hi -> BigInt,
    }
}

diesel::table! {
    idempotency (key) {
        key -> Binary,
        at -> BigInt,
        request -> Binary,
        sealed -> Binary,
    }
}

diesel::table! {
    series (shelf, series_no) {
        shelf -> BigInt,
        series_no -> Integer,
        identity_hash -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    template (shelf, series_no, template_no) {
        shelf -> BigInt,
        series_no -> Integer,
        template_no -> Integer,
        text_hash -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    feed (seq) {
        seq -> BigInt,
        committed_at -> BigInt,
        shelf -> BigInt,
        kind -> SmallInt,
        bloom -> BigInt,
        extent -> Binary,
    }
}

diesel::table! {
    block (shelf, seq) {
        shelf -> BigInt,
        seq -> BigInt,
        committed_at -> BigInt,
        start_lo -> BigInt,
        start_hi -> BigInt,
        end_hi -> BigInt,
        n -> Integer,
        bloom -> BigInt,
        superseding -> Bool,
        hot -> Binary,
        filter -> Binary,
    }
}

diesel::table! {
    block_ids (shelf, seq, piece) {
        shelf -> BigInt,
        seq -> BigInt,
        piece -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    sample_override (shelf, series_no, start, disc) {
        shelf -> BigInt,
        series_no -> Integer,
        start -> BigInt,
        disc -> Integer,
        kind -> SmallInt,
    }
}

diesel::table! {
    upload (upload_) {
        #[sql_name = "upload"]
        upload_ -> Binary,
        shelf -> BigInt,
        user_id -> Binary,
        body_hash -> Binary,
        stage -> SmallInt,
        accepted_at -> BigInt,
        started_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        items -> Integer,
        done -> Integer,
        stored -> Integer,
        unchanged -> Integer,
        corrected -> Integer,
        refused -> Integer,
        detail -> Binary,
    }
}

diesel::table! {
    upload_refusal (upload, done) {
        upload -> Binary,
        done -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    raw_segment (upload, no) {
        upload -> Binary,
        no -> Integer,
        sealed -> Binary,
    }
}

diesel::table! {
    job (job_) {
        #[sql_name = "job"]
        job_ -> BigInt,
        kind -> SmallInt,
        subject -> Binary,
        run_at -> BigInt,
        attempts -> Integer,
    }
}

diesel::table! {
    app_user (user_id) {
        user_id -> Binary,
        patient -> Binary,
        shelf -> BigInt,
        created_at -> BigInt,
        external_hash -> Nullable<BigInt>,
        email_hash -> Nullable<BigInt>,
    }
}

diesel::table! {
    app (app_) {
        #[sql_name = "app"]
        app_ -> Binary,
        name -> Binary,
        secret -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    credential (secret) {
        secret -> Binary,
        #[sql_name = "credential"]
        credential_ -> Binary,
        family -> Binary,
        kind -> SmallInt,
        role -> SmallInt,
        scopes -> Text,
        user_id -> Nullable<Binary>,
        issued_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    credential_patient (credential, patient) {
        credential -> Binary,
        patient -> Binary,
    }
}

diesel::table! {
    invitation (code) {
        code -> Binary,
        user_id -> Binary,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    audit_block (block) {
        block -> BigInt,
        node -> Binary,
        recorded_lo -> BigInt,
        recorded_hi -> BigInt,
        n -> Integer,
        leaves -> Binary,
        sealed -> Binary,
    }
}

diesel::table! {
    audit_pending (block) {
        block -> BigInt,
    }
}

diesel::table! {
    audit_index (entry, patient) {
        entry -> Binary,
        patient -> Binary,
        origin -> SmallInt,
        block -> BigInt,
        ordinal -> Integer,
    }
}

diesel::table! {
    client (client_) {
        #[sql_name = "client"]
        client_ -> Binary,
        status -> SmallInt,
        version -> Integer,
        secret -> Nullable<Binary>,
        sealed -> Binary,
        created_at -> BigInt,
        changed_at -> BigInt,
    }
}

diesel::table! {
    account (account_) {
        #[sql_name = "account"]
        account_ -> Binary,
        name_hash -> BigInt,
        fhir_user_hash -> Nullable<BigInt>,
        status -> SmallInt,
        version -> Integer,
        sealed -> Binary,
        totp_step -> Nullable<BigInt>,
        created_at -> BigInt,
        changed_at -> BigInt,
    }
}

diesel::table! {
    account_link (subject) {
        subject -> Binary,
        account -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    sign_in_failure (hash) {
        hash -> BigInt,
        failures -> Integer,
        blocked_until -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    session (secret) {
        secret -> Binary,
        #[sql_name = "session"]
        session_ -> Binary,
        account -> Binary,
        auth_time -> Nullable<BigInt>,
        used_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    grant_made (grant_made_) {
        #[sql_name = "grant_made"]
        grant_made_ -> Binary,
        client -> Binary,
        account -> Nullable<Binary>,
        session -> Nullable<Binary>,
        sealed -> Binary,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    grant_secret (secret) {
        secret -> Binary,
        grant_made -> Binary,
        kind -> SmallInt,
        issued_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
        jkt -> Nullable<Binary>,
    }
}

diesel::table! {
    launch (secret) {
        secret -> Binary,
        client -> Binary,
        sealed -> Binary,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    shown_once (hash) {
        hash -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    signing_key (kid) {
        kid -> Text,
        family -> SmallInt,
        sealed -> Binary,
        created_at -> BigInt,
        retired_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    break_glass (break_glass_) {
        #[sql_name = "break_glass"]
        break_glass_ -> Binary,
        account -> Binary,
        client -> Binary,
        patient -> Binary,
        sealed -> Binary,
        granted_at -> BigInt,
        expires_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        reviewed_at -> Nullable<BigInt>,
        review -> Nullable<Binary>,
    }
}
