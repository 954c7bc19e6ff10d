-- Compressed outputs cannot be unpacked in SQL: those steps stay as they are, and no older server reads them.
alter table step drop column packed;
delete from collection where name = 'builds';
alter table build_count drop column updated_at;
alter table build_count drop column created_at;
drop index build_by_received;
drop index build_by_host;
alter table build drop column host;
