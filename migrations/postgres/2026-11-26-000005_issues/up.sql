-- Known issues: failures that somebody has looked at. An issue fits the failures that fit each of
-- test, message, signature, branch and variant that is not null.
create table issue (
    project_id bigint not null,
    id         uuid not null,
    title      text not null collate "C",
    url        text collate "C",
    note       text collate "C",
    test       text collate "C",
    message    text collate "C",
    signature  text collate "C",
    branch     text collate "C",
    variant    text collate "C",
    -- Whether gates pass over the failures that it fits.
    mute       boolean not null,
    expires    timestamptz,
    -- Null while it is open.
    closed_at  timestamptz,
    creator_id bigint references account (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version    bigint not null,
    primary key (project_id, id)
);
create unique index issue_by_id on issue (id);
create index issue_by_end on issue (project_id, closed_at);

-- Who may write a project's issues.
alter table project add column triage text not null default 'owner' collate "C";
