-- Builds reported by clients of other systems (docs/decisions/0018-builds-of-other-systems.md).

create table foreign_build (
    -- Identifies the build for clients that know numbers only. Never used again.
    number     integer primary key autoincrement,
    project_id integer not null,
    protocol   text not null,
    -- The digest of what the client calls the build.
    key        blob not null,
    -- A client may use the same key for several runs.
    nth        integer not null,
    build_id   blob not null,
    -- When the build ends unless something is heard of it; null if it has ended as its client said.
    ends       integer,
    -- How many requests are kept of it, and of how many of them the build has been made.
    events     integer not null default 0,
    made_of    integer not null default 0,
    -- Their size.
    bytes      integer not null default 0,
    -- Whether its client has said that it ends.
    is_over    integer not null default 0
) strict;
create unique index foreign_build_by_key on foreign_build (project_id, protocol, key, nth);
create index foreign_build_by_build on foreign_build (project_id, build_id);
create index foreign_build_ends on foreign_build (ends) where ends is not null;
create index foreign_build_unmade on foreign_build (number) where events > made_of;

-- What clients said of builds that can only be made of all of it. Deleted when report files are.
create table foreign_event (
    project_id integer not null,
    build_id   blob not null,
    nth        integer not null,
    -- Of the request: the same again is the same.
    digest     blob not null,
    -- The item that it starts.
    item       text,
    received   integer not null,
    body       blob not null,
    packed     integer not null,
    primary key (project_id, build_id, nth)
) strict;
create unique index foreign_event_by_digest on foreign_event (project_id, build_id, digest);
create index foreign_event_by_item on foreign_event (project_id, item) where item is not null;
create index foreign_event_received on foreign_event (received);
