-- Compressed outputs cannot be decompressed in SQL: those steps are left unchanged, and older
-- servers cannot read them.
alter table step drop column packed;
delete from collection where name = 'builds';
alter table build_count drop column updated_at;
alter table build_count drop column created_at;
drop index build_by_received;
drop index build_by_host;
alter table build drop column host;
