alter table build_component rename to new_build_component;
create table build_component (
    component_id uuid not null,
    build_id     uuid not null,
    project_id   bigint not null,
    primary key (component_id, build_id)
);
insert into build_component (component_id, build_id, project_id)
select component_id, build_id, project_id from new_build_component;
drop table new_build_component;
alter index build_component_pkey1 rename to build_component_pkey;
create index build_component_by_project on build_component (project_id, build_id);

alter table upload rename column said to query;
alter table claim add column status smallint not null default 201;
alter table claim add column location text not null default '';
update claim set status = cast(substr(outcome, 1, 3) as smallint), location = substr(outcome, 5);
alter table claim drop column outcome;
