-- The outcome of a request with an Idempotency-Key is opaque to the store: only the API writes and
-- reads it.
alter table claim add column outcome text not null default '';
update claim set outcome = status || ' ' || location;
alter table claim drop column status;
alter table claim drop column location;
alter table upload rename column query to said;

-- Like the key of every table that belongs to a project, this one begins with the project.
alter table build_component rename to old_build_component;
create table build_component (
    project_id   bigint not null,
    build_id     uuid not null,
    component_id uuid not null,
    primary key (project_id, build_id, component_id)
);
insert into build_component (project_id, build_id, component_id)
select project_id, build_id, component_id from old_build_component;
drop table old_build_component;
alter index build_component_pkey1 rename to build_component_pkey;
create index build_component_by_component on build_component (component_id, project_id, build_id);
