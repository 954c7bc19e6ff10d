-- Projects, users, builds, steps and tags. docs/architecture.md explains the keys.

create table account (
    id            bigint generated always as identity primary key,
    username      text not null collate "C",
    -- The lower-case name, by which users are found; null once the user is deleted. The row stays,
    -- so that builds which it sent go on naming somebody, and its number is never used again.
    username_key  text collate "C" unique,
    password_hash text not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    version       bigint not null default 1
);

create table project (
    id         bigint generated always as identity primary key,
    slug       text not null collate "C",
    -- The lower-case slug, by which projects are found; null once the project is deleted, while
    -- its builds are being removed in pieces.
    slug_key   text collate "C" unique,
    name       text not null collate "C",
    owner_id   bigint references account (id),
    reporting  text not null check (reporting in ('anyone', 'authenticated', 'owner')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version    bigint not null default 1
);
create index project_by_name on project (name, slug) where slug_key is not null;
create index project_by_owner on project (owner_id) where owner_id is not null;
create index project_deleted on project (id) where slug_key is null;

-- How many members a collection has, and how often it changed.
create table collection (
    name    text primary key,
    members bigint not null,
    changes bigint not null
);
insert into collection values ('projects', 0, 0), ('users', 0, 0);

-- A build's id is a UUIDv7 in list order, so the primary key finds a build, sorts a project's list
-- and is the position in next links. There is no second index on (id) alone: the planner was seen
-- to walk it, filtering, for a small project's list.
create table build (
    project_id      bigint not null references project (id),
    id              uuid not null,
    key             text collate "C",
    sender_id       bigint,
    started         timestamptz not null,
    started_offset  smallint not null,
    finished        timestamptz,
    finished_offset smallint,
    -- Null while the build runs, as finished is.
    success         boolean,
    received        timestamptz not null,
    -- The tags in byte order, joined with ';', which no tag holds.
    tags            text not null collate "C",
    steps           integer not null,
    failed_steps    integer not null,
    -- Of all its steps, so that a page can be cut before it is read.
    output_bytes    bigint not null,
    digest          bytea,
    updated_at      timestamptz not null,
    version         bigint not null default 1,
    -- JSON text exactly as sent, last because it may be long: jsonb would lose digits, duplicates, order and NUL.
    client          text not null,
    primary key (project_id, id),
    check ((success is null) = (finished is null)),
    check ((finished_offset is null) = (finished is null))
);
do $$ begin
    alter table build alter column client set compression lz4;
exception when feature_not_supported then
    -- A server that was built without lz4 compresses its own way.
    null;
end $$;
create unique index build_by_key on build (project_id, key) where key is not null;
create index build_by_sender on build (sender_id, id) where sender_id is not null;

-- Steps and tag rows are written by the statement that writes their build and removed by the one
-- that removes it, so a foreign key, checked row by row, would only cost.
create table step (
    project_id      bigint not null,
    build_id        uuid not null,
    position        integer not null,
    name            text not null,
    success         boolean not null,
    started         timestamptz not null,
    started_offset  smallint not null,
    finished        timestamptz not null,
    finished_offset smallint not null,
    -- Bytes of UTF-8: text refuses NUL, which outputs hold.
    output          bytea not null,
    errout          bytea not null,
    extras          text not null,
    primary key (project_id, build_id, position)
);
do $$ begin
    alter table step alter column output set compression lz4;
    alter table step alter column errout set compression lz4;
    alter table step alter column extras set compression lz4;
exception when feature_not_supported then
    null;
end $$;

create table build_tag (
    project_id bigint not null,
    tag        text not null collate "C",
    build_id   uuid not null,
    primary key (project_id, tag, build_id)
);

-- Builds of a project (tag '') and of each of its tags, and how often they changed. A writer adds to
-- its own shard, so that writers of one project don't queue for a row; readers add the shards up.
create table build_count (
    project_id bigint not null,
    tag        text not null collate "C",
    shard      smallint not null,
    builds     bigint not null,
    changes    bigint not null,
    primary key (project_id, tag, shard)
) with (fillfactor = 50);

-- The same for the builds that a user sent, by project, so that they go when the project goes.
create table sender_count (
    sender_id  bigint not null,
    project_id bigint not null,
    shard      smallint not null,
    builds     bigint not null,
    changes    bigint not null,
    primary key (sender_id, project_id, shard)
) with (fillfactor = 50);
create index sender_count_by_project on sender_count (project_id);

-- Answers to requests that carried an Idempotency-Key. scope is a hash of user, resource and key.
create table claim (
    scope      bytea primary key,
    body       bytea not null,
    status     smallint not null,
    location   text not null,
    created_at timestamptz not null
);
create index claim_by_age on claim (created_at);

-- The builds that have all the tags, at or beyond a position, in list order or against it.
--
-- Leapfrog: each tag in turn seeks the first build at or beyond the candidate; when all agree on it,
-- it is one. The cost is a few index seeks for each build found or ruled out, wherever they lie.
create function builds_with_tags(
    in_project bigint, in_tags text[], in_start uuid, in_ascending boolean, in_limit bigint
) returns setof uuid language plpgsql stable as $$
declare
    candidate uuid := in_start;
    found_id  uuid;
    agreed    integer := 0;
    wanted    constant integer := cardinality(in_tags);
    at_tag    integer := 1;
    emitted   bigint := 0;
begin
    while emitted < in_limit loop
        if in_ascending then
            select t.build_id into found_id from build_tag t
            where t.project_id = in_project and t.tag = in_tags[at_tag] and t.build_id >= candidate
            order by t.build_id limit 1;
        else
            select t.build_id into found_id from build_tag t
            where t.project_id = in_project and t.tag = in_tags[at_tag] and t.build_id <= candidate
            order by t.build_id desc limit 1;
        end if;
        exit when found_id is null;
        if found_id = candidate then
            agreed := agreed + 1;
        else
            candidate := found_id;
            agreed := 1;
        end if;
        at_tag := at_tag % wanted + 1;
        if agreed = wanted then
            return next candidate;
            emitted := emitted + 1;
            agreed := 0;
            -- The next candidate lies strictly beyond: this tag's neighbour of the one just found.
            if in_ascending then
                select t.build_id into candidate from build_tag t
                where t.project_id = in_project and t.tag = in_tags[at_tag] and t.build_id > found_id
                order by t.build_id limit 1;
            else
                select t.build_id into candidate from build_tag t
                where t.project_id = in_project and t.tag = in_tags[at_tag] and t.build_id < found_id
                order by t.build_id desc limit 1;
            end if;
            exit when candidate is null;
        end if;
    end loop;
end
$$;

-- A member of a client record as text: a string's value, else the JSON as sent. PostgreSQL has no
-- text with NUL, so U+FFFD stands for it.
create function client_member_text(client text, name text) returns text
language sql immutable parallel safe as $$
    select case
        when strpos(client, '\u0000') = 0 then nullif(client, '')
        -- Not the text that is a backslash and u0000.
        else regexp_replace(client, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')
    end::json ->> name
$$;
