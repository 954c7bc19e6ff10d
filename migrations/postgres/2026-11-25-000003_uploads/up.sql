-- The bodies of requests that brought report files, for a time, so that they can be read again; and which of
-- the build's steps, cases and receipts came of each.
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
    -- As long as it is stored.
    bytes         bigint not null,
    body          bytea not null,
    packed        smallint not null,
    primary key (project_id, build_id, nth)
);
alter table upload alter column body set storage external;
create index upload_by_age on upload (received, bytes);
