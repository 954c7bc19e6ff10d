-- Projects, users, builds, steps and tags. docs/architecture.md explains the keys.

create table account (
    id            bigint generated always as identity primary key,
    username      text not null collate "C",
    -- The lower-case name that users are looked up by; null once the user is deleted. The row stays, so
    -- that its builds still have a sender, and its id is never reused.
    username_key  text collate "C" unique,
    password_hash text not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    version       bigint not null default 1
);

create table project (
    id         bigint generated always as identity primary key,
    slug       text not null collate "C",
    -- The lower-case slug that projects are looked up by; null once the project is deleted, while its
    -- builds are removed in batches.
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

-- The size and the change count of each collection.
create table collection (
    name    text primary key,
    members bigint not null,
    changes bigint not null
);
insert into collection values ('projects', 0, 0), ('users', 0, 0);

-- A build's id is a UUIDv7 in list order, so the primary key finds a build, sorts a project's list
-- and serves as the position in next links. There is no second index on (id) alone: the planner
-- sometimes walked it with a filter for a small project's list.
create table build (
    project_id      bigint not null references project (id),
    id              uuid not null,
    key             text collate "C",
    sender_id       bigint,
    started         timestamptz not null,
    started_offset  smallint not null,
    finished        timestamptz,
    finished_offset smallint,
    -- Null while the build runs, like finished.
    success         boolean,
    received        timestamptz not null,
    -- The tags in byte order, separated by ';', which no tag contains.
    tags            text not null collate "C",
    steps           integer not null,
    failed_steps    integer not null,
    -- The total over all its steps, so that a page can be cut before it is read.
    output_bytes    bigint not null,
    digest          bytea,
    updated_at      timestamptz not null,
    version         bigint not null default 1,
    -- JSON text exactly as sent: jsonb would lose digits, duplicates, order and NUL. Last, because it
    -- may be long.
    client          text not null,
    primary key (project_id, id),
    check ((success is null) = (finished is null)),
    check ((finished_offset is null) = (finished is null))
);
do $$ begin
    alter table build alter column client set compression lz4;
exception when feature_not_supported then
    -- A server built without lz4 uses its default compression.
    null;
end $$;
create unique index build_by_key on build (project_id, key) where key is not null;
create index build_by_sender on build (sender_id, id) where sender_id is not null;

-- Steps and tag rows are inserted and deleted by the same statement as their build, so foreign
-- keys, checked row by row, would only add cost.
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
    -- UTF-8 as bytes: text rejects NUL, which outputs may contain.
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

-- The number of builds of a project (tag '') and of each of its tags, and their change counts. Each
-- writer updates its own shard, so that writers of one project don't wait for a row; readers add up
-- the shards.
create table build_count (
    project_id bigint not null,
    tag        text not null collate "C",
    shard      smallint not null,
    builds     bigint not null,
    changes    bigint not null,
    primary key (project_id, tag, shard)
) with (fillfactor = 50);

-- The same for the builds of each sender, by project, so that they disappear with the project.
create table sender_count (
    sender_id  bigint not null,
    project_id bigint not null,
    shard      smallint not null,
    builds     bigint not null,
    changes    bigint not null,
    primary key (sender_id, project_id, shard)
) with (fillfactor = 50);
create index sender_count_by_project on sender_count (project_id);

-- Responses to requests with an Idempotency-Key. scope is a hash of user, resource and key.
create table claim (
    scope      bytea primary key,
    body       bytea not null,
    status     smallint not null,
    location   text not null,
    created_at timestamptz not null
);
create index claim_by_age on claim (created_at);

-- The builds with all of the tags, at or beyond a position, in list order or in reverse.
--
-- Leapfrog: each tag in turn seeks the first build at or beyond the candidate; when all tags agree,
-- the build matches. The cost is a few index seeks for each build found or ruled out, wherever it
-- is.
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
            -- The next candidate must lie strictly beyond: the next build with this tag after the one found.
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

-- A member of a client record as text: a string's value, otherwise the JSON as sent. PostgreSQL
-- cannot store NUL in text, so U+FFFD replaces it.
create function client_member_text(client text, name text) returns text
language sql immutable parallel safe as $$
    select case
        when strpos(client, '\u0000') = 0 then nullif(client, '')
        -- But not an escaped backslash followed by u0000.
        else regexp_replace(client, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')
    end::json ->> name
$$;
