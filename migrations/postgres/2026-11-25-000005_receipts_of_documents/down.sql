alter table build drop column receipt;
alter table step drop column receipt;
