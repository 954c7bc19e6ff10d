-- Components (the things under test) and their types; lookup of builds by id alone.

-- A hash index: the planner might use a tree on the id alone for a project's list.
create index build_by_id on build using hash (id);

create table component_type (
    id         uuid primary key,
    name       text not null collate "C" unique,
    creator_id bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version    bigint not null default 1
);

create table component (
    id                     uuid primary key,
    component_type_id      uuid not null references component_type (id),
    name                   text not null collate "C",
    title                  text collate "C",
    message                text collate "C",
    url                    text collate "C",
    canonical_project_name text collate "C",
    sha                    text collate "C",
    reference              text collate "C",
    git                    text collate "C",
    -- JSON text exactly as sent.
    data                   text,
    creator_id             bigint,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    version                bigint not null default 1,
    unique (component_type_id, name)
);
create index component_by_name on component (name);

-- The components that a build tested, for its representation: their ids, each followed by ';'.
alter table build add column components text not null default '';

-- The builds that tested a component, in list order.
create table build_component (
    component_id uuid not null,
    build_id     uuid not null,
    project_id   bigint not null,
    primary key (component_id, build_id)
);
create index build_component_by_project on build_component (project_id, build_id);
