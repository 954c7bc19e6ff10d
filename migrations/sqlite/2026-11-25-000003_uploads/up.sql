-- The bodies of requests that uploaded report files, kept for a time for reparsing, and the steps,
-- cases and receipts of the build that each was parsed into.
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
    -- The stored size.
    bytes         integer not null,
    body          blob not null,
    packed        integer not null,
    primary key (project_id, build_id, nth)
) strict;
create index upload_by_age on upload (received, bytes);
