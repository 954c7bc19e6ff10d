-- In which builds a failed or broken case had a failure with a signature: the first 64 bits of the
-- signature's id (docs/decisions/0016-sightings.md).
create table sighting (
    signature  bigint not null,
    -- Whether the build was sent with credentials: others never count for one that was.
    credited   boolean not null,
    project_id bigint not null,
    build_id   uuid not null,
    primary key (signature, credited, project_id, build_id)
);
create index sighting_by_build on sighting (project_id, build_id);

-- Builds that an older version stored. Their signatures are added in the background.
create table unsigned_build (
    project_id bigint not null,
    build_id   uuid not null,
    primary key (project_id, build_id)
);
insert into unsigned_build (project_id, build_id) select distinct project_id, build_id from strip where bad > 0;
