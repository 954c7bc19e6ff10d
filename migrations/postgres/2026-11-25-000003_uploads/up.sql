-- The bodies of requests that uploaded report files, kept for a time for reparsing, and the steps,
-- cases and receipts of the build that each was parsed into.
create table upload (
    project_id    bigint not null,
    build_id      uuid not null,
    nth           integer not null,
    received      timestamptz not null,
    content_type  text not null,
    query         text not null,
    one_step      boolean not null,
    first_step    integer not null,
    steps         integer not null,
    first_test    integer not null,
    tests         integer not null,
    first_receipt integer not null,
    receipts      integer not null,
    -- The stored size.
    bytes         bigint not null,
    body          bytea not null,
    packed        smallint not null,
    primary key (project_id, build_id, nth)
);
alter table upload alter column body set storage external;
create index upload_by_age on upload (received, bytes);
