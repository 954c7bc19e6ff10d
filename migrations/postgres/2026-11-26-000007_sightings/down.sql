drop table unsigned_build;
drop table sighting;
