drop table log_piece;
drop index step_open;
alter table step drop column digest;
alter table step drop column log;
