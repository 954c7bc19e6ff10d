-- Indexes for what is asked for across builds; when a tag came into use; outputs compressed.

-- The first characters of the client record's host: what a list for one machine is found by. Only the
-- first, because an index has no room for more; queries compare the whole as well.
alter table build add column host text collate "C";
update build set host = left(client_member_text(client, 'host'), 100);
create index build_by_host on build (project_id, host, id) where host is not null;

-- The builds of all projects, the oldest first. Not on (id): that is one which the planner may walk for
-- a project's list.
create index build_by_received on build (received, id);

alter table build_count add column created_at timestamptz not null default now();
alter table build_count add column updated_at timestamptz not null default now();

-- How often builds that were there were changed or removed: with the other two rows, what a server asks
-- before it uses what it read earlier.
insert into collection values ('builds', 0, 0);

-- Whether a step's output (1) and errors (2) are compressed: lz4 blocks behind their length. Half the
-- bytes to log, to write and to keep.
alter table step add column packed smallint not null default 0;
alter table step alter column output set storage external;
alter table step alter column errout set storage external;

-- Room in each page for the next version of a row: then adding a step touches no index of its build.
alter table build set (fillfactor = 85);

drop function builds_with_tags (bigint, text[], uuid, boolean, bigint);

-- The builds that have all the tags, at or beyond a position, in list order or against it.
--
-- Leapfrog: each tag in turn seeks the first build at or beyond the candidate; when all agree on it,
-- it is one. The cost is a few index seeks for each build found or ruled out, wherever they lie; after so
-- many of them the last row says how far the search came.
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
