drop function builds_with_tags (bigint, text[], uuid, boolean, bigint, bigint);

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

-- Compressed outputs cannot be unpacked in SQL: those steps stay as they are, and no older server reads them.
alter table build reset (fillfactor);
alter table step drop column packed;
alter table step alter column output set storage extended;
alter table step alter column errout set storage extended;
delete from collection where name = 'builds';
alter table build_count drop column updated_at;
alter table build_count drop column created_at;
drop index build_by_received;
drop index build_by_host;
alter table build drop column host;
