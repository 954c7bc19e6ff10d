-- Browser sessions. Only a hash of a session's secret is stored, so reading this table grants no
-- access.
create table session (
    hash       bytea primary key not null,
    account_id bigint not null references account (id),
    expires    timestamptz not null
);
create index session_by_account on session (account_id);
create index session_by_end on session (expires);
