-- Test cases are packed into strips (docs/decisions/0013-strips-not-rows.md). The server packs the
-- rows of test_result into them when it starts, and then drops that table.

-- A test's number never changes and is never used again. It is found by its project.
alter table test drop constraint test_pkey;
alter table test alter column id drop identity;
alter table test add primary key (project_id, id);

create table strip (
    project_id bigint not null,
    build_id   uuid not null,
    nth        integer not null,
    -- The position of its first case in the build, how many it has, and how many are bad.
    first      integer not null,
    cases      integer not null,
    bad        integer not null,
    -- The least and the greatest number of a test in it.
    low        bigint not null,
    high       bigint not null,
    -- Columns, packed by the crate devmason-strips.
    body       bytea not null,
    details    bytea,
    primary key (project_id, build_id, nth)
);
alter table strip alter column body set storage external;
alter table strip alter column details set storage external;
-- A small share of all strips, but queried across all projects.
create index strip_bad on strip (project_id, build_id, nth) where bad > 0;
