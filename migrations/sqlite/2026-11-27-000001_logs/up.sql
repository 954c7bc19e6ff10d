-- The logs of steps (docs/decisions/0017-logs-in-pieces.md).

-- Where the outputs of a step are: 0 in its row, 1 in a log that grows while the step runs, 2 in a log
-- that is closed. While a step runs, success is true and finished is when it started.
alter table step add column log integer not null default 0;
-- The fingerprint of the document that ended the step.
alter table step add column digest blob;
create index step_open on step (project_id, build_id, position) where log = 1;

create table log_piece (
    project_id integer not null,
    build_id   blob not null,
    -- The step.
    position   integer not null,
    -- What comes before the piece: bytes and line breaks, of the log and of its standard output.
    start      integer not null,
    start_line integer not null,
    start_out  integer not null,
    start_out_line integer not null,
    -- The same, up to its end.
    past       integer not null,
    past_line  integer not null,
    past_out   integer not null,
    past_out_line integer not null,
    body       blob not null,
    primary key (project_id, build_id, position, start)
) strict;
