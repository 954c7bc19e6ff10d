-- When builds of a track are expected: null for as often as usual, `never`, or a time such as `26h`.
alter table track add column expected text collate "C";
alter table track add column version bigint not null default 0;
