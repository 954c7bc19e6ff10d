-- Components (the things under test) and their types; lookup of builds by id alone.

create index build_by_id on build (id);

create table component_type (
    id         blob primary key not null,
    name       text not null unique,
    creator_id integer,
    created_at integer not null,
    updated_at integer not null,
    version    integer not null default 1
) strict;

create table component (
    id                     blob primary key not null,
    component_type_id      blob not null references component_type (id),
    name                   text not null,
    title                  text,
    message                text,
    url                    text,
    canonical_project_name text,
    sha                    text,
    reference              text,
    git                    text,
    -- JSON text exactly as sent.
    data                   text,
    creator_id             integer,
    created_at             integer not null,
    updated_at             integer not null,
    version                integer not null default 1,
    unique (component_type_id, name)
) strict;
create index component_by_name on component (name);

-- The components that a build tested, for its representation: their ids, each followed by ';'.
alter table build add column components text not null default '';

-- The builds that tested a component, in list order.
create table build_component (
    component_id blob not null,
    build_id     blob not null,
    project_id   integer not null,
    primary key (component_id, build_id)
) strict, without rowid;
create index build_component_by_project on build_component (project_id, build_id);
