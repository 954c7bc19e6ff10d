drop table foreign_build;
