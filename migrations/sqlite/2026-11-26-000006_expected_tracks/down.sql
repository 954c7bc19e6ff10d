alter table track drop column version;
alter table track drop column expected;
