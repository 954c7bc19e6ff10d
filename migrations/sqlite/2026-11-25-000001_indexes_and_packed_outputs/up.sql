-- Indexes for what is asked for across builds; when a tag came into use; outputs compressed.

-- The first characters of the client record's host: what a list for one machine is found by. Only the
-- first, because an index has no room for more; queries compare the whole as well.
alter table build add column host text;
update build set host = substr(client_member_text(client, 'host'), 1, 100);
create index build_by_host on build (project_id, host, id) where host is not null;

-- The builds of all projects, the oldest first.
create index build_by_received on build (received, id);

alter table build_count add column created_at integer not null default 0;
alter table build_count add column updated_at integer not null default 0;
update build_count set created_at = cast(unixepoch('subsec') * 1000000 as integer),
                       updated_at = cast(unixepoch('subsec') * 1000000 as integer);

-- How often builds that were there were changed or removed: with the other two rows, what a server asks
-- before it uses what it read earlier.
insert into collection values ('builds', 0, 0);

-- Whether a step's output (1) and errors (2) are compressed: lz4 blocks behind their length. Half the
-- bytes to log, to write and to keep.
alter table step add column packed integer not null default 0;
