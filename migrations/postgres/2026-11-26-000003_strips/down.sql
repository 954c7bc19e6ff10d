-- What the strips hold is lost: only the server can unpack them.
drop table strip;

-- Numbers were unique in their project alone.
delete from test;
alter table test drop constraint test_pkey;
alter table test alter column id add generated always as identity;
alter table test add primary key (id);

drop table if exists test_result;
create table test_result (
    project_id  bigint not null,
    build_id    uuid not null,
    position    integer not null,
    test_id     bigint not null,
    status      smallint not null,
    micros      bigint,
    failure_key bytea,
    details     bytea,
    packed      smallint not null,
    primary key (project_id, build_id, position)
);
alter table test_result alter column details set storage external;
create index test_result_by_test on test_result (project_id, test_id, build_id);
create index test_result_failed on test_result (project_id, build_id, position) where status >= 3;
update build set tests = '' where tests <> '';
