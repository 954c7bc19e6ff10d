//! The tables, common to both databases.

use diesel::sql_types::{Binary, Nullable, Text};

/// Column types whose representation differs between the databases.
pub(crate) mod sql {
    /// `uuid`; in SQLite, its 16 bytes.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 2950, array_oid = 2951)))]
    #[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Binary")))]
    pub struct Uuid;

    /// `timestamptz`; in SQLite, microseconds since 1970.
    #[derive(Debug, Clone, Copy, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[cfg_attr(feature = "postgres", diesel(postgres_type(oid = 1184, array_oid = 1185)))]
    #[cfg_attr(feature = "sqlite", diesel(sqlite_type(name = "Long")))]
    pub struct Instant;
}

diesel::table! {
    account (id) {
        id -> BigInt,
        username -> Text,
        username_key -> Nullable<Text>,
        password_hash -> Text,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
    }
}

diesel::table! {
    project (id) {
        id -> BigInt,
        slug -> Text,
        slug_key -> Nullable<Text>,
        name -> Text,
        owner_id -> Nullable<BigInt>,
        reporting -> Text,
        mainline -> Nullable<Text>,
        variant_by -> Nullable<Text>,
        gate -> Text,
        triage -> Text,
        repository -> Nullable<Text>,
        tags -> Text,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
    }
}

diesel::table! {
    collection (name) {
        name -> Text,
        members -> BigInt,
        changes -> BigInt,
    }
}

diesel::table! {
    build (project_id, id) {
        project_id -> BigInt,
        id -> crate::store::schema::sql::Uuid,
        key -> Nullable<Text>,
        sender_id -> Nullable<BigInt>,
        started -> crate::store::schema::sql::Instant,
        started_offset -> SmallInt,
        finished -> Nullable<crate::store::schema::sql::Instant>,
        finished_offset -> Nullable<SmallInt>,
        success -> Nullable<Bool>,
        received -> crate::store::schema::sql::Instant,
        tags -> Text,
        steps -> Integer,
        failed_steps -> Integer,
        output_bytes -> BigInt,
        digest -> Nullable<Binary>,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
        client -> Text,
        components -> Text,
        host -> Nullable<Text>,
        tests -> Text,
        receipt -> Nullable<Text>,
        track -> Nullable<BigInt>,
        revision -> Nullable<Text>,
    }
}

diesel::table! {
    track (project_id, key) {
        project_id -> BigInt,
        key -> BigInt,
        variant -> Text,
        branch -> Text,
        credited -> Bool,
        expected -> Nullable<Text>,
        version -> BigInt,
    }
}

diesel::table! {
    issue (project_id, id) {
        project_id -> BigInt,
        id -> crate::store::schema::sql::Uuid,
        title -> Text,
        url -> Nullable<Text>,
        note -> Nullable<Text>,
        test -> Nullable<Text>,
        message -> Nullable<Text>,
        signature -> Nullable<Text>,
        branch -> Nullable<Text>,
        variant -> Nullable<Text>,
        mute -> Bool,
        expires -> Nullable<crate::store::schema::sql::Instant>,
        closed_at -> Nullable<crate::store::schema::sql::Instant>,
        creator_id -> Nullable<BigInt>,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
    }
}

diesel::table! {
    step (project_id, build_id, position) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        position -> Integer,
        name -> Text,
        success -> Bool,
        started -> crate::store::schema::sql::Instant,
        started_offset -> SmallInt,
        finished -> crate::store::schema::sql::Instant,
        finished_offset -> SmallInt,
        output -> Binary,
        errout -> Binary,
        extras -> Text,
        packed -> SmallInt,
        receipt -> Nullable<Text>,
        bad_cases -> Nullable<Integer>,
        log -> SmallInt,
        digest -> Nullable<Binary>,
    }
}

diesel::table! {
    log_piece (project_id, build_id, position, start) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        position -> Integer,
        start -> BigInt,
        start_line -> BigInt,
        start_out -> BigInt,
        start_out_line -> BigInt,
        past -> BigInt,
        past_line -> BigInt,
        past_out -> BigInt,
        past_out_line -> BigInt,
        body -> Binary,
    }
}

diesel::table! {
    foreign_build (number) {
        number -> BigInt,
        project_id -> BigInt,
        protocol -> Text,
        key -> Binary,
        nth -> Integer,
        build_id -> crate::store::schema::sql::Uuid,
        ends -> Nullable<crate::store::schema::sql::Instant>,
        events -> Integer,
        made_of -> Integer,
        bytes -> BigInt,
        is_over -> Bool,
    }
}

diesel::table! {
    foreign_event (project_id, build_id, nth) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        nth -> Integer,
        digest -> Binary,
        item -> Nullable<Text>,
        received -> crate::store::schema::sql::Instant,
        body -> Binary,
        packed -> SmallInt,
    }
}

diesel::table! {
    foreign_object (id) {
        id -> crate::store::schema::sql::Uuid,
        protocol -> Text,
        kind -> Text,
        name -> Text,
        body -> Text,
        created_at -> crate::store::schema::sql::Instant,
    }
}

diesel::table! {
    test (project_id, id) {
        id -> BigInt,
        project_id -> BigInt,
        key -> Binary,
        suite -> Text,
        name -> Text,
    }
}

diesel::table! {
    test_failure (project_id, key) {
        project_id -> BigInt,
        key -> Binary,
        body -> Binary,
        packed -> SmallInt,
    }
}

diesel::table! {
    strip (project_id, build_id, nth) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        nth -> Integer,
        first -> Integer,
        cases -> Integer,
        bad -> Integer,
        low -> BigInt,
        high -> BigInt,
        body -> Binary,
        details -> Nullable<Binary>,
    }
}

diesel::table! {
    sighting (signature, credited, project_id, build_id) {
        signature -> BigInt,
        credited -> Bool,
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
    }
}

diesel::table! {
    unsigned_build (project_id, build_id) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
    }
}

diesel::table! {
    receipt (project_id, build_id, nth) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        nth -> Integer,
        document -> Text,
        part -> Nullable<Text>,
    }
}

diesel::table! {
    upload (project_id, build_id, nth) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        nth -> Integer,
        received -> crate::store::schema::sql::Instant,
        content_type -> Text,
        said -> Text,
        one_step -> Bool,
        first_step -> Integer,
        steps -> Integer,
        first_test -> Integer,
        tests -> Integer,
        first_receipt -> Integer,
        receipts -> Integer,
        bytes -> BigInt,
        body -> Binary,
        packed -> SmallInt,
    }
}

diesel::table! {
    build_tag (project_id, tag, build_id) {
        project_id -> BigInt,
        tag -> Text,
        build_id -> crate::store::schema::sql::Uuid,
    }
}

diesel::table! {
    build_count (project_id, tag, shard) {
        project_id -> BigInt,
        tag -> Text,
        shard -> SmallInt,
        builds -> BigInt,
        changes -> BigInt,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
    }
}

diesel::table! {
    sender_count (sender_id, project_id, shard) {
        sender_id -> BigInt,
        project_id -> BigInt,
        shard -> SmallInt,
        builds -> BigInt,
        changes -> BigInt,
    }
}

diesel::table! {
    session (hash) {
        hash -> Binary,
        account_id -> BigInt,
        expires -> crate::store::schema::sql::Instant,
    }
}

diesel::table! {
    claim (scope) {
        scope -> Binary,
        body -> Binary,
        created_at -> crate::store::schema::sql::Instant,
        outcome -> Text,
    }
}

diesel::table! {
    component_type (id) {
        id -> crate::store::schema::sql::Uuid,
        name -> Text,
        creator_id -> Nullable<BigInt>,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
    }
}

diesel::table! {
    component (id) {
        id -> crate::store::schema::sql::Uuid,
        component_type_id -> crate::store::schema::sql::Uuid,
        name -> Text,
        title -> Nullable<Text>,
        message -> Nullable<Text>,
        url -> Nullable<Text>,
        canonical_project_name -> Nullable<Text>,
        sha -> Nullable<Text>,
        reference -> Nullable<Text>,
        git -> Nullable<Text>,
        data -> Nullable<Text>,
        creator_id -> Nullable<BigInt>,
        created_at -> crate::store::schema::sql::Instant,
        updated_at -> crate::store::schema::sql::Instant,
        version -> BigInt,
    }
}

diesel::table! {
    build_component (project_id, build_id, component_id) {
        project_id -> BigInt,
        build_id -> crate::store::schema::sql::Uuid,
        component_id -> crate::store::schema::sql::Uuid,
    }
}

diesel::joinable!(project -> account (owner_id));
diesel::joinable!(strip -> project (project_id));
diesel::joinable!(component -> component_type (component_type_id));
diesel::joinable!(build -> account (sender_id));
diesel::joinable!(issue -> account (creator_id));
diesel::joinable!(build -> project (project_id));
diesel::joinable!(step -> project (project_id));
diesel::joinable!(sender_count -> project (project_id));
diesel::allow_tables_to_appear_in_same_query!(session, account);
diesel::allow_tables_to_appear_in_same_query!(component, component_type);
diesel::allow_tables_to_appear_in_same_query!(
    build_component,
    account,
    project,
    build,
    step,
    build_tag,
    sender_count,
    issue,
    strip,
    track
);

#[diesel::declare_sql_function]
extern "SQL" {
    /// A member of a client record, as text: a string's value, otherwise the JSON as sent. Defined by a
    /// migration in PostgreSQL and by each connection in SQLite.
    fn client_member_text(client: Nullable<Text>, name: Text) -> Nullable<Text>;

    /// True, or an error once the statement has exceeded the time limit. SQLite only; PostgreSQL has a
    /// setting.
    fn within_time(of_a_row: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;

    /// Whether a text matches a `like` pattern. SQLite only, whose own operator is slow for some
    /// patterns.
    fn text_like(text: Nullable<Text>, pattern: Text) -> Nullable<diesel::sql_types::Bool>;

    /// The same, ignoring ASCII case.
    fn text_ilike(text: Nullable<Text>, pattern: Text) -> Nullable<diesel::sql_types::Bool>;

    /// The text form of a UUID's bytes. SQLite only; PostgreSQL has a cast.
    fn uuid_text(id: Binary) -> Text;
}
