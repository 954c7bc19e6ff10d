-- Known issues: failures that somebody has looked at. An issue fits the failures that fit each of
-- test, message, signature, branch and variant that is not null.
create table issue (
    project_id integer not null,
    id         blob not null,
    title      text not null,
    url        text,
    note       text,
    test       text,
    message    text,
    signature  text,
    branch     text,
    variant    text,
    -- Whether gates pass over the failures that it fits.
    mute       integer not null,
    expires    integer,
    -- Null while it is open.
    closed_at  integer,
    creator_id integer references account (id),
    created_at integer not null,
    updated_at integer not null,
    version    integer not null,
    primary key (project_id, id)
) strict;
create unique index issue_by_id on issue (id);
create index issue_by_end on issue (project_id, closed_at);

-- Who may write a project's issues.
alter table project add column triage text not null default 'owner';
