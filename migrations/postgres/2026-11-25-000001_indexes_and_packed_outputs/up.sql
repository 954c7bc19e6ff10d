-- Indexes for queries across builds; creation times of tags; compressed outputs.

-- The first characters of the client record's host, for listing one machine's builds. Only a
-- prefix, because index entries are limited in size; queries compare the whole host as well.
alter table build add column host text collate "C";
update build set host = left(client_member_text(client, 'host'), 100);
create index build_by_host on build (project_id, host, id) where host is not null;

-- The builds of all projects, oldest first. Not on (id), which the planner might use for a
-- project's list.
create index build_by_received on build (received, id);

alter table build_count add column created_at timestamptz not null default now();
alter table build_count add column updated_at timestamptz not null default now();

-- The change count of existing builds. Together with the other two rows, a server checks it before
-- it uses cached data.
insert into collection values ('builds', 0, 0);

-- Whether a step's output (1) and errors (2) are compressed: lz4 blocks preceded by their length.
-- This halves the bytes to log, write and store.
alter table step add column packed smallint not null default 0;
alter table step alter column output set storage external;
alter table step alter column errout set storage external;

-- Room in each page for the next version of a row: then adding a step updates none of the build's
-- indexes.
alter table build set (fillfactor = 85);

drop function builds_with_tags (bigint, text[], uuid, boolean, bigint);

-- The builds with all of the tags, at or beyond a position, in list order or in reverse.
--
-- Leapfrog: each tag in turn seeks the first build at or beyond the candidate; when all tags agree,
-- the build matches. The cost is a few index seeks for each build found or ruled out, wherever it
-- is. After in_seeks seeks, the last row says how far the search came.
create function builds_with_tags(
    in_project bigint, in_tags text[], in_start uuid, in_ascending boolean, in_limit bigint, in_seeks bigint
) returns table (build_id uuid, is_found boolean) language plpgsql stable as $$
declare
    candidate uuid := in_start;
    found_id  uuid;
    agreed    integer := 0;
    wanted    constant integer := cardinality(in_tags);
    at_tag    integer := 1;
    emitted   bigint := 0;
    seeks     bigint := 0;
begin
    while emitted < in_limit loop
        if seeks >= in_seeks then
            return query select candidate, false;
            exit;
        end if;
        seeks := seeks + 1;
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
            return query select candidate, true;
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
