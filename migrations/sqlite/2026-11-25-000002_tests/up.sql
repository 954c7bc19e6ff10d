-- Test cases: each name of a project once, what came of it in each build, and what uploads were read as.

-- A summary of a build's cases, as JSON text; empty for a build without any.
alter table build add column tests text not null default '';

create table test (
    id         integer primary key,
    project_id integer not null,
    -- The first half of a hash of the whole name, which may be too long for an index.
    key        blob not null,
    suite      text not null,
    name       text not null,
    unique (project_id, key)
) strict;

-- Why cases failed: equal texts of a project once, found by a hash.
create table test_failure (
    project_id integer not null,
    key        blob not null,
    -- JSON text, packed as outputs are.
    body       blob not null,
    packed     integer not null,
    primary key (project_id, key)
) strict;

create table test_result (
    project_id  integer not null,
    build_id    blob not null,
    position    integer not null,
    test_id     integer not null,
    status      integer not null,
    -- Microseconds, where they are known.
    micros      integer,
    failure_key blob,
    -- What else is said of it, JSON text packed as outputs are; null where there is nothing.
    details     blob,
    packed      integer not null,
    primary key (project_id, build_id, position)
) strict;
create index test_result_by_test on test_result (project_id, test_id, build_id);

-- What an upload was recognized as and what was read of it: JSON text.
create table receipt (
    project_id integer not null,
    build_id   blob not null,
    nth        integer not null,
    document   text not null,
    primary key (project_id, build_id, nth)
) strict;
