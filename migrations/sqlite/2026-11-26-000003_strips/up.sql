-- Test cases are packed into strips (docs/decisions/0013-strips-not-rows.md). The server packs the
-- rows of test_result into them when it starts, and then drops that table.

-- A test's number never changes and is never used again. It is found by its project.
alter table test rename to old_test;
create table test (
    id         integer not null,
    project_id integer not null,
    -- The first half of a hash of the full name, which may be too long for an index.
    key        blob not null,
    suite      text not null,
    name       text not null,
    primary key (project_id, id),
    unique (project_id, key)
) strict, without rowid;
insert into test (id, project_id, key, suite, name) select id, project_id, key, suite, name from old_test;
drop table old_test;

create table strip (
    project_id integer not null,
    build_id   blob not null,
    nth        integer not null,
    -- The position of its first case in the build, how many it has, and how many are bad.
    first      integer not null,
    cases      integer not null,
    bad        integer not null,
    -- The least and the greatest number of a test in it.
    low        integer not null,
    high       integer not null,
    -- Columns, packed by the crate devmason-strips.
    body       blob not null,
    details    blob,
    primary key (project_id, build_id, nth)
) strict;
-- A small share of all strips, but queried across all projects.
create index strip_bad on strip (project_id, build_id, nth) where bad > 0;
