-- Browser sessions. Only a hash of a session's secret is stored, so reading this table grants no
-- access.
create table session (
    hash       blob primary key not null,
    account_id integer not null references account (id),
    expires    integer not null
) strict;
create index session_by_account on session (account_id);
create index session_by_end on session (expires);
