alter table build_count drop column updated_at;
alter table build_count drop column created_at;
drop index build_by_received;
drop index build_by_host;
alter table build drop column host;
