drop index receipt_part;
alter table receipt drop column part;
