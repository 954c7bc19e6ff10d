-- The logs of steps (docs/decisions/0017-logs-in-pieces.md).

-- Where the outputs of a step are: 0 in its row, 1 in a log that grows while the step runs, 2 in a log
-- that is closed. While a step runs, success is true and finished is when it started.
alter table step add column log smallint not null default 0;
-- The fingerprint of the document that ended the step.
alter table step add column digest bytea;
create index step_open on step (project_id, build_id, position) where log = 1;

create table log_piece (
    project_id bigint not null,
    build_id   uuid not null,
    -- The step.
    position   integer not null,
    -- What comes before the piece: bytes and line breaks, of the log and of its standard output.
    start      bigint not null,
    start_line bigint not null,
    start_out  bigint not null,
    start_out_line bigint not null,
    -- The same, up to its end.
    past       bigint not null,
    past_line  bigint not null,
    past_out   bigint not null,
    past_out_line bigint not null,
    body       bytea not null,
    primary key (project_id, build_id, position, start)
);
-- It is compressed already.
alter table log_piece alter column body set storage external;
