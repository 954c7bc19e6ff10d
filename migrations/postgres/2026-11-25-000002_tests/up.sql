-- Test cases: each name once per project, the results in each build, and the receipts of uploads.

-- A summary of a build's cases, as JSON text; empty if it has none.
alter table build add column tests text not null default '';

create table test (
    id         bigint generated always as identity primary key,
    project_id bigint not null,
    -- The first half of a hash of the full name, which may be too long for an index.
    key        bytea not null,
    suite      text not null collate "C",
    name       text not null collate "C",
    unique (project_id, key)
);

-- Failures of cases: equal texts are stored once per project, found by a hash.
create table test_failure (
    project_id bigint not null,
    key        bytea not null,
    -- JSON text, compressed like outputs.
    body       bytea not null,
    packed     smallint not null,
    primary key (project_id, key)
);
alter table test_failure alter column body set storage external;

create table test_result (
    project_id  bigint not null,
    build_id    uuid not null,
    position    integer not null,
    test_id     bigint not null,
    status      smallint not null,
    -- Microseconds, if known.
    micros      bigint,
    failure_key bytea,
    -- Other details, JSON text compressed like outputs; null if none.
    details     bytea,
    packed      smallint not null,
    primary key (project_id, build_id, position)
);
alter table test_result alter column details set storage external;
create index test_result_by_test on test_result (project_id, test_id, build_id);

-- An upload's recognized format and what was parsed from it: JSON text.
create table receipt (
    project_id bigint not null,
    build_id   uuid not null,
    nth        integer not null,
    document   text not null,
    primary key (project_id, build_id, nth)
);
