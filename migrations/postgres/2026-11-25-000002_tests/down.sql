drop table receipt;
drop table test_result;
drop table test_failure;
drop table test;
alter table build drop column tests;
