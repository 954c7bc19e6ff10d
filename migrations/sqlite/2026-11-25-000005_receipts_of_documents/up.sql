-- The receipt of an API document, JSON text. It is stored in the same row: a row of its own would
-- add cost to every build.
alter table build add column receipt text;
alter table step add column receipt text;
