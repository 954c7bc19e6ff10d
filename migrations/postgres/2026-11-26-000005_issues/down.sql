alter table project drop column triage;
drop table issue;
