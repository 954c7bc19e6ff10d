-- What clients of other systems register there and the model of builds has no place for, such as the labs of DCI
-- (docs/decisions/0018-builds-of-other-systems.md).
create table foreign_object (
    id         uuid primary key,
    protocol   text not null,
    kind       text not null,
    name       text not null,
    -- What the client said of it, as JSON.
    body       text not null,
    created_at timestamptz not null
);
create unique index foreign_object_by_name on foreign_object (protocol, kind, name);
