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
    ends       integer
) strict;
create unique index foreign_build_by_key on foreign_build (project_id, protocol, key, nth);
create index foreign_build_by_build on foreign_build (project_id, build_id);
create index foreign_build_ends on foreign_build (ends) where ends is not null;
