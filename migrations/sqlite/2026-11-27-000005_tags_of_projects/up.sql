-- What a project is grouped by, separated by ';'.
alter table project add column tags text not null default '';
