alter table project drop column repository;
