-- The bodies of requests that brought report files, for a time, so that they can be read again; and which of
-- the build's steps, cases and receipts came of each.
create table upload (
    project_id    integer not null,
    build_id      blob not null,
    nth           integer not null,
    received      integer not null,
    content_type  text not null,
    query         text not null,
    one_step      integer not null,
    first_step    integer not null,
    steps         integer not null,
    first_test    integer not null,
    tests         integer not null,
    first_receipt integer not null,
    receipts      integer not null,
    -- As long as it is stored.
    bytes         integer not null,
    body          blob not null,
    packed        integer not null,
    primary key (project_id, build_id, nth)
) strict;
create index upload_by_age on upload (received, bytes);
