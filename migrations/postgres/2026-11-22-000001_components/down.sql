drop table build_component;
alter table build drop column components;
drop table component;
drop table component_type;
drop index build_by_id;
