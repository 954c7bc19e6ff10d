alter table project drop column tags;
