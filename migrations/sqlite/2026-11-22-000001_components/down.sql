drop table component;
drop table component_type;
drop index build_by_id;
