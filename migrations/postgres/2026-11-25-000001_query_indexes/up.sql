-- Indexes for what is asked for across builds, and when a tag came into use.

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
