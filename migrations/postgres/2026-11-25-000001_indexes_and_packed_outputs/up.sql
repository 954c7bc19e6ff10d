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
