-- When builds of a track are expected: null for as often as usual, `never`, or a time such as `26h`.
alter table track add column expected text;
alter table track add column version integer not null default 0;
