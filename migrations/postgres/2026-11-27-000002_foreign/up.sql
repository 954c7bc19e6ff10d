-- Builds reported by clients of other systems (docs/decisions/0018-builds-of-other-systems.md).

create table foreign_build (
    -- Identifies the build for clients that know numbers only. Never used again.
    number     bigint generated always as identity primary key,
    project_id bigint not null,
    protocol   text not null,
    -- The digest of what the client calls the build.
    key        bytea not null,
    -- A client may use the same key for several runs.
    nth        integer not null,
    build_id   uuid not null,
    -- When the build ends unless something is heard of it; null if it has ended as its client said.
    ends       timestamptz,
    -- How many requests are kept of it, and of how many of them the build has been made.
    events     integer not null default 0,
    made_of    integer not null default 0,
    -- Their size.
    bytes      bigint not null default 0,
    -- Whether its client has said that it ends.
    is_over    boolean not null default false
);
create unique index foreign_build_by_key on foreign_build (project_id, protocol, key, nth);
create index foreign_build_by_build on foreign_build (project_id, build_id);
create index foreign_build_ends on foreign_build (ends) where ends is not null;
create index foreign_build_unmade on foreign_build (number) where events > made_of;

-- What clients said of builds that can only be made of all of it. Deleted when report files are.
create table foreign_event (
    project_id bigint not null,
    build_id   uuid not null,
    nth        integer not null,
    -- Of the request: the same again is the same.
    digest     bytea not null,
    -- The item that it starts.
    item       text,
    received   timestamptz not null,
    body       bytea not null,
    packed     smallint not null,
    primary key (project_id, build_id, nth)
);
create unique index foreign_event_by_digest on foreign_event (project_id, build_id, digest);
create index foreign_event_by_item on foreign_event (project_id, item) where item is not null;
create index foreign_event_received on foreign_event (received);
