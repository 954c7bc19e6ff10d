drop table foreign_object;
