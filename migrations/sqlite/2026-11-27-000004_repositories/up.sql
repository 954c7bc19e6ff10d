-- Where a project's source code can be read: the address of a repository.
alter table project add column repository text;
