-- What a document of the API was read as, JSON text: beside what it became, as a row of its own would cost every build.
alter table build add column receipt text;
alter table step add column receipt text;
