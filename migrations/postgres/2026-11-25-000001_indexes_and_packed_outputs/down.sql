drop function builds_with_tags (bigint, text[], uuid, boolean, bigint, bigint);

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

-- Compressed outputs cannot be decompressed in SQL: those steps are left unchanged, and older
-- servers cannot read them.
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
