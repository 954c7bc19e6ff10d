-- Who is signed in with a browser. Of a session's secret only a hash is kept: who reads this table is nobody by it.
create table session (
    hash       blob primary key not null,
    account_id integer not null references account (id),
    expires    integer not null
) strict;
create index session_by_account on session (account_id);
create index session_by_end on session (expires);
