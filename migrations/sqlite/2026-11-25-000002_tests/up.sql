-- Test cases: each name once per project, the results in each build, and the receipts of uploads.

-- A summary of a build's cases, as JSON text; empty if it has none.
alter table build add column tests text not null default '';

create table test (
    id         integer primary key,
    project_id integer not null,
    -- The first half of a hash of the full name, which may be too long for an index.
    key        blob not null,
    suite      text not null,
    name       text not null,
    unique (project_id, key)
) strict;

-- Failures of cases: equal texts are stored once per project, found by a hash.
create table test_failure (
    project_id integer not null,
    key        blob not null,
    -- JSON text, compressed like outputs.
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
    -- Microseconds, if known.
    micros      integer,
    failure_key blob,
    -- Other details, JSON text compressed like outputs; null if none.
    details     blob,
    packed      integer not null,
    primary key (project_id, build_id, position)
) strict;
create index test_result_by_test on test_result (project_id, test_id, build_id);

-- An upload's recognized format and what was parsed from it: JSON text.
create table receipt (
    project_id integer not null,
    build_id   blob not null,
    nth        integer not null,
    document   text not null,
    primary key (project_id, build_id, nth)
) strict;
