//! The two schemas are one, as the databases themselves tell; and every migration can be undone.

use std::path::Path;

use devmason_test_support::{Backend, TestDatabase};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable, Text};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};

use crate::*;

/// A column: whether it may be null, and its place in the primary key, from 1, or 0.
#[derive(Debug, PartialEq, Eq, QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    of: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
    #[diesel(sql_type = Integer)]
    key: i32,
}

const OF_SQLITE: &str = "
    select t.name as of, c.name as name, c.\"notnull\" = 0 and c.pk = 0 as nullable, c.pk as key
    from sqlite_schema t join pragma_table_info(t.name) c
    where t.type = 'table' and t.name not like 'sqlite%' and t.name not like '\\_\\_%' escape '\\'
    order by t.name, c.cid";

const OF_POSTGRES: &str = "
    select t.relname::text as of, a.attname::text as name, not a.attnotnull as nullable,
           coalesce(array_position(i.indkey::int2[], a.attnum), -1)::int4 + 1 as key
    from pg_class t
    join pg_namespace n on n.oid = t.relnamespace and n.nspname = 'public'
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index i on i.indrelid = t.oid and i.indisprimary
    where t.relkind = 'r' and t.relname not like '\\_\\_%'
    order by t.relname collate \"C\", a.attnum";

#[diesel::declare_sql_function]
extern "SQL" {
    /// An index of an older schema calls it.
    fn client_member_text(client: Nullable<Text>, name: Text) -> Nullable<Text>;
}

pub(crate) fn sqlite(database: &TestDatabase) -> SqliteConnection {
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let mut connection = SqliteConnection::establish(path).unwrap();
    let none = |_: Option<String>, _: String| None::<String>;
    client_member_text_utils::register_impl(&mut connection, none).unwrap();
    connection
}

pub(crate) fn postgres(database: &TestDatabase) -> PgConnection {
    PgConnection::establish(&database.url).unwrap()
}

fn migrations(backend: &str) -> FileBasedMigrations {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(backend);
    FileBasedMigrations::from_path(root).unwrap()
}

#[test]
fn both_databases_have_the_same_tables_and_columns() {
    let (one, other) = (Store::new(Backend::Sqlite), Store::new(Backend::Postgres));
    let of_sqlite: Vec<Column> =
        diesel::sql_query(OF_SQLITE).load(&mut sqlite(&one.database)).unwrap();
    // PostgreSQL counts places in an array that begins at 0 here.
    let of_postgres: Vec<Column> =
        diesel::sql_query(OF_POSTGRES).load(&mut postgres(&other.database)).unwrap();
    assert!(of_sqlite.len() > 100, "{}", of_sqlite.len());
    assert_eq!(of_sqlite, of_postgres);
}

#[test]
fn every_migration_can_be_undone_and_done_again() {
    let (one, other) = (Store::new(Backend::Sqlite), Store::new(Backend::Postgres));
    for store in [&one, &other] {
        let project = store.project("p");
        let claim = Some(Claim {
            scope: Digest([1; 32]),
            body: Digest([1; 32]),
            outcome: "201 /p/builds/1".to_owned(),
        });
        store.record(NewBuild { claim, ..build(&project, "2026-01-01T00:00:00Z", &["t"]) });
    }
    let mut sqlite = sqlite(&one.database);
    let mut postgres = postgres(&other.database);
    drop((one.repository, other.repository));
    for _ in 0..12 {
        sqlite.revert_last_migration(migrations("sqlite")).unwrap();
    }
    sqlite.batch_execute("select status, location from claim where status = 201").unwrap();
    sqlite.run_pending_migrations(migrations("sqlite")).unwrap();
    sqlite.revert_all_migrations(migrations("sqlite")).unwrap();
    let left: Vec<Column> = diesel::sql_query(OF_SQLITE).load(&mut sqlite).unwrap();
    assert_eq!(left, []);
    sqlite.run_pending_migrations(migrations("sqlite")).unwrap();
    for _ in 0..12 {
        postgres.revert_last_migration(migrations("postgres")).unwrap();
    }
    postgres.batch_execute("select status, location from claim where status = 201").unwrap();
    postgres.run_pending_migrations(migrations("postgres")).unwrap();
    postgres.revert_all_migrations(migrations("postgres")).unwrap();
    let left: Vec<Column> = diesel::sql_query(OF_POSTGRES).load(&mut postgres).unwrap();
    assert_eq!(left, []);
    postgres.run_pending_migrations(migrations("postgres")).unwrap();
}

/// Rows of test cases as an older version left them: two builds, a name without a suite, a failure,
/// details, and more cases than fit into a strip.
const ROWS_OF_AN_OLDER_VERSION: &str = r#"
    insert into test (id, project_id, key, suite, name) values
        (70, 1, KEY_OF_A, 's', 'a'), (90, 1, KEY_OF_B, '', 'b');
    insert into test_failure (project_id, key, body, packed) values (1, FAILURE, TEXT_OF_FAILURE, 0);
    insert into test_result (project_id, build_id, position, test_id, status, micros, failure_key, details, packed)
        with recursive n (n) as (select 0 union all select n + 1 from n where n < 16399)
        select 1, BUILD_1, n, 70, 0, n, null, null, 0 from n;
    insert into test_result (project_id, build_id, position, test_id, status, micros, failure_key, details, packed)
        values (1, BUILD_2, 0, 90, 3, null, FAILURE, TEXT_OF_DETAILS, 0), (1, BUILD_2, 1, 70, 1, 5, null, null, 0);
"#;

#[test]
fn cases_of_an_older_version_are_packed_at_the_start() {
    let builds = [1u128, 2].map(|n| BuildId(uuid::Uuid::from_u128(n)));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = |text: &str| hex(&Digest::of(text.as_bytes()).0[..16]);
    let rows = |bytes: &dyn Fn(String) -> String, uuid: &dyn Fn(BuildId) -> String| {
        ROWS_OF_AN_OLDER_VERSION
            .replace("KEY_OF_A", &bytes(key("s::a")))
            .replace("KEY_OF_B", &bytes(key("b")))
            .replace("TEXT_OF_FAILURE", &bytes(hex(br#"{"message":"no"}"#)))
            .replace("TEXT_OF_DETAILS", &bytes(hex(br#"{"stdout":"out","line":7}"#)))
            .replace("FAILURE", &bytes(key("failure")))
            .replace("BUILD_1", &uuid(builds[0]))
            .replace("BUILD_2", &uuid(builds[1]))
    };
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let Store { database, repository, .. } = Store::new(backend);
        drop(repository);
        match backend {
            Backend::Sqlite => {
                let mut conn = sqlite(&database);
                for _ in 0..11 {
                    conn.revert_last_migration(migrations("sqlite")).unwrap();
                }
                let bytes = |hex: String| format!("x'{hex}'");
                let uuid = |id: BuildId| format!("x'{}'", id.0.simple());
                conn.batch_execute(&rows(&bytes, &uuid)).unwrap();
            }
            Backend::Postgres => {
                let mut conn = postgres(&database);
                for _ in 0..11 {
                    conn.revert_last_migration(migrations("postgres")).unwrap();
                }
                let bytes = |hex: String| format!("'\\x{hex}'");
                let uuid = |id: BuildId| format!("'{}'", id.0);
                let rows = rows(&bytes, &uuid)
                    .replace("name) values", "name) overriding system value values");
                conn.batch_execute(&rows).unwrap();
            }
        }
        // The second start finds nothing left to do.
        for _ in 0..2 {
            let repository = open(&database.url, &Options::default()).unwrap();
            let list = |of: usize| {
                let query = TestQuery::all(ProjectId(1), builds[of]);
                let found = repository.test_list(&query).unwrap();
                found.into_iter().map(|placed| placed.result).collect::<Vec<_>>()
            };
            let many = list(0);
            let micros: Vec<_> = many.iter().map(|test| test.micros).collect();
            assert_eq!(micros, (0..16_400).map(Some).collect::<Vec<_>>());
            assert!(many.iter().all(|test| (&*test.suite, test.name.as_str()) == ("s", "a")));
            let few = list(1);
            let failure = few[0].failure.as_ref().unwrap();
            assert_eq!((few[0].name.as_str(), failure.message.as_deref()), ("b", Some("no")));
            assert_eq!((few[0].details.stdout.as_str(), few[0].details.line), ("out", Some(7)));
            assert_eq!((few[0].status, few[1].status), (TestStatus::Failed, TestStatus::Flaky));
            while repository.sighting_more().unwrap() {}
            let signatures =
                |of: usize| repository.build_signatures(ProjectId(1), builds[of], 9).unwrap().len();
            assert_eq!([0, 1].map(signatures), [0, 1]);
        }
    }
}

#[test]
fn parts_of_an_older_version_are_known_by_their_digests() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let store = Store::new(backend);
        let project = store.project("p");
        let new = running(&project);
        let build = new.id;
        store.record(new);
        let key = ForeignKey { project: project.id, protocol: "test", key: Digest([1; 32]) };
        store.foreign_add(&key, 1, build, at("2026-01-01T00:00:00Z")).unwrap();
        // The name of the file has a NUL, and a quote.
        let receipt = r#"{"file":"a\u0000\"digest\":\"sha256:2\"","digest":"sha256:1","notes":[]}"#;
        store.receipt_add(project.id, build, receipt, None).unwrap();
        let Store { database, repository } = store;
        drop(repository);
        match backend {
            Backend::Sqlite => {
                sqlite(&database).revert_last_migration(migrations("sqlite")).unwrap();
            }
            Backend::Postgres => {
                postgres(&database).revert_last_migration(migrations("postgres")).unwrap();
            }
        }
        let repository = open(&database.url, &Options::default()).unwrap();
        let has = |part: &str| repository.part_exists(project.id, build, part).unwrap();
        assert_eq!([has("sha256:1"), has("sha256:2")], [true, false], "{backend:?}");
    }
}
