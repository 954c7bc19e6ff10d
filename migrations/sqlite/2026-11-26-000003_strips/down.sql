-- What the strips hold is lost: only the server can unpack them.
drop table strip;

alter table test rename to new_test;
create table test (
    id         integer primary key,
    project_id integer not null,
    key        blob not null,
    suite      text not null,
    name       text not null,
    unique (project_id, key)
) strict;
drop table new_test;

drop table if exists test_result;
create table test_result (
    project_id  integer not null,
    build_id    blob not null,
    position    integer not null,
    test_id     integer not null,
    status      integer not null,
    micros      integer,
    failure_key blob,
    details     blob,
    packed      integer not null,
    primary key (project_id, build_id, position)
) strict;
create index test_result_by_test on test_result (project_id, test_id, build_id);
create index test_result_failed on test_result (project_id, build_id, position) where status >= 3;
update build set tests = '' where tests <> '';
