-- Test cases: each name of a project once, what came of it in each build, and what uploads were read as.

-- A summary of a build's cases, as JSON text; empty for a build without any.
alter table build add column tests text not null default '';

create table test (
    id         bigint generated always as identity primary key,
    project_id bigint not null,
    -- The first half of a hash of the whole name, which may be too long for an index.
    key        bytea not null,
    suite      text not null collate "C",
    name       text not null collate "C",
    unique (project_id, key)
);

-- Why cases failed: equal texts of a project once, found by a hash.
create table test_failure (
    project_id bigint not null,
    key        bytea not null,
    -- JSON text, packed as outputs are.
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
    -- Microseconds, where they are known.
    micros      bigint,
    failure_key bytea,
    -- What else is said of it, JSON text packed as outputs are; null where there is nothing.
    details     bytea,
    packed      smallint not null,
    primary key (project_id, build_id, position)
);
alter table test_result alter column details set storage external;
create index test_result_by_test on test_result (project_id, test_id, build_id);

-- What an upload was recognized as and what was read of it: JSON text.
create table receipt (
    project_id bigint not null,
    build_id   uuid not null,
    nth        integer not null,
    document   text not null,
    primary key (project_id, build_id, nth)
);
