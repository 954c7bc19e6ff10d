-- Builds of the same variant on the same branch form a track (docs/decisions/0014-tracks.md). The key
-- is a hash of the other columns, so a build's track is known without a look-up. Builds of older
-- versions get theirs in the background: until then it is null.
create table track (
    project_id bigint not null,
    key        bigint not null,
    variant    text not null collate "C",
    -- Empty for builds without a branch.
    branch     text not null collate "C",
    -- Whether its builds were sent with credentials.
    credited   boolean not null,
    primary key (project_id, key)
);
create index track_by_branch on track (project_id, branch);

alter table build add column track bigint;
-- The commit.
alter table build add column revision text collate "C";
create index build_by_track on build (project_id, track, id) where track is not null;
create index build_by_revision on build (project_id, revision, id) where revision is not null;
create index build_without_track on build (project_id, id) where track is null;

-- The number of a step's failed and broken test cases; null if unknown.
alter table step add column bad_cases integer;

-- How a project's builds are compared: the branch that others are compared with (null: a usual one),
-- what a variant consists of (null: the usual parts; otherwise one per line), and the gate.
alter table project add column mainline text collate "C";
alter table project add column variant_by text collate "C";
alter table project add column gate text not null default '' collate "C";
