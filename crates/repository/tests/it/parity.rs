//! The two schemas are one: the same tables and columns, in the same order, null where the other is.

use std::path::Path;

fn tables(backend: &str) -> Vec<(String, Vec<(String, bool)>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(backend);
    let mut migrations: Vec<_> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    migrations.sort();
    let mut tables = Vec::new();
    for migration in migrations {
        let sql = std::fs::read_to_string(migration.join("up.sql")).unwrap();
        for table in sql.split("create table ").skip(1) {
            let (name, rest) = table.split_once(" (").unwrap();
            let columns = rest.split("\n)").next().unwrap().lines().map(str::trim);
            let columns = columns
                .filter(|line| {
                    !line.is_empty()
                        && !["--", "primary key", "check", "unique"]
                            .iter()
                            .any(|start| line.starts_with(start))
                })
                .map(|line| {
                    let nullable = !line.contains("not null") && !line.contains("primary key");
                    (line.split_whitespace().next().unwrap().to_owned(), nullable)
                });
            tables.push((name.to_owned(), columns.collect::<Vec<_>>()));
        }
        for added in sql.split("alter table ").skip(1) {
            let statement = added.split(';').next().unwrap();
            let Some((table, column)) = statement.split_once(" add column ") else { continue };
            let column = (
                column.split_whitespace().next().unwrap().to_owned(),
                !column.contains("not null"),
            );
            tables.iter_mut().find(|(name, _)| name == table).unwrap().1.push(column);
        }
    }
    tables
}

#[test]
fn both_databases_have_the_same_tables_and_columns() {
    let (postgres, sqlite) = (tables("postgres"), tables("sqlite"));
    assert_eq!(postgres.len(), 18);
    assert_eq!(postgres, sqlite);
}
