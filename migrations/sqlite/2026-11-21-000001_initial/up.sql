-- Projects, users, builds, steps and tags. docs/architecture.md explains the keys. Instants are
-- microseconds since 1970, booleans 0 and 1, UUIDs their 16 bytes. Wide rows are in rowid tables:
-- tables without rowid were 2.5 times slower in measurements.

create table account (
    id            integer primary key autoincrement,
    username      text not null,
    -- The lower-case name that users are looked up by; null once the user is deleted. The row stays, so
    -- that its builds still have a sender, and its id is never reused.
    username_key  text unique,
    password_hash text not null,
    created_at    integer not null,
    updated_at    integer not null,
    version       integer not null default 1
) strict;

create table project (
    id         integer primary key autoincrement,
    slug       text not null,
    -- The lower-case slug that projects are looked up by; null once the project is deleted, while its
    -- builds are removed in batches.
    slug_key   text unique,
    name       text not null,
    owner_id   integer references account (id),
    reporting  text not null check (reporting in ('anyone', 'authenticated', 'owner')),
    created_at integer not null,
    updated_at integer not null,
    version    integer not null default 1
) strict;
create index project_by_name on project (name, slug) where slug_key is not null;
create index project_by_owner on project (owner_id) where owner_id is not null;
create index project_deleted on project (id) where slug_key is null;

-- The size and the change count of each collection.
create table collection (
    name    text primary key not null,
    members integer not null,
    changes integer not null
) strict;
insert into collection values ('projects', 0, 0), ('users', 0, 0);

-- A build's id is a UUIDv7 in list order, so the primary key finds a build, sorts a project's list
-- and serves as the position in next links. There is no second index on (id) alone, as in
-- PostgreSQL, whose planner sometimes walked it with a filter for a small project's list.
create table build (
    project_id      integer not null references project (id),
    id              blob not null,
    key             text,
    sender_id       integer,
    started         integer not null,
    started_offset  integer not null,
    finished        integer,
    finished_offset integer,
    -- Null while the build runs, like finished.
    success         integer,
    received        integer not null,
    -- The tags in byte order, separated by ';', which no tag contains.
    tags            text not null,
    steps           integer not null,
    failed_steps    integer not null,
    -- The total over all its steps, so that a page can be cut before it is read.
    output_bytes    integer not null,
    digest          blob,
    updated_at      integer not null,
    version         integer not null default 1,
    -- JSON text exactly as sent. Last, because it may be long.
    client          text not null,
    primary key (project_id, id),
    check ((success is null) = (finished is null)),
    check ((finished_offset is null) = (finished is null))
) strict;
create unique index build_by_key on build (project_id, key) where key is not null;
create index build_by_sender on build (sender_id, id) where sender_id is not null;

-- Steps and tag rows are inserted and deleted by the same statement as their build, so foreign
-- keys, checked row by row, would only add cost.
create table step (
    project_id      integer not null,
    build_id        blob not null,
    position        integer not null,
    name            text not null,
    success         integer not null,
    started         integer not null,
    started_offset  integer not null,
    finished        integer not null,
    finished_offset integer not null,
    -- UTF-8 as bytes, which may contain NUL.
    output          blob not null,
    errout          blob not null,
    extras          text not null,
    primary key (project_id, build_id, position)
) strict;

create table build_tag (
    project_id integer not null,
    tag        text not null,
    build_id   blob not null,
    primary key (project_id, tag, build_id)
) strict, without rowid;

-- The number of builds of a project (tag '') and of each of its tags, and their change counts. Each
-- writer updates its own shard, so that writers of one project don't wait for a row; readers add up
-- the shards.
create table build_count (
    project_id integer not null,
    tag        text not null,
    shard      integer not null,
    builds     integer not null,
    changes    integer not null,
    primary key (project_id, tag, shard)
) strict, without rowid;

-- The same for the builds of each sender, by project, so that they disappear with the project.
create table sender_count (
    sender_id  integer not null,
    project_id integer not null,
    shard      integer not null,
    builds     integer not null,
    changes    integer not null,
    primary key (sender_id, project_id, shard)
) strict, without rowid;
create index sender_count_by_project on sender_count (project_id);

-- Responses to requests with an Idempotency-Key. scope is a hash of user, resource and key.
create table claim (
    scope      blob primary key not null,
    body       blob not null,
    status     integer not null,
    location   text not null,
    created_at integer not null
) strict;
create index claim_by_age on claim (created_at);
