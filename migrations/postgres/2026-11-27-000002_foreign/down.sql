drop table foreign_event;
drop table foreign_build;
