-- Indexes for queries across builds; creation times of tags; compressed outputs.

-- The first characters of the client record's host, for listing one machine's builds. Only a
-- prefix, because index entries are limited in size; queries compare the whole host as well.
alter table build add column host text;
update build set host = substr(client_member_text(client, 'host'), 1, 100);
create index build_by_host on build (project_id, host, id) where host is not null;

-- The builds of all projects, oldest first.
create index build_by_received on build (received, id);

alter table build_count add column created_at integer not null default 0;
alter table build_count add column updated_at integer not null default 0;
update build_count set created_at = cast(unixepoch('subsec') * 1000000 as integer),
                       updated_at = cast(unixepoch('subsec') * 1000000 as integer);

-- The change count of existing builds. Together with the other two rows, a server checks it before
-- it uses cached data.
insert into collection values ('builds', 0, 0);

-- Whether a step's output (1) and errors (2) are compressed: lz4 blocks preceded by their length.
-- This halves the bytes to log, write and store.
alter table step add column packed integer not null default 0;
