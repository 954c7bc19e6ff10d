-- By what a part of a build of another system's client is known when it comes again: the digest of its bytes.
alter table receipt add column part text;
-- Not as JSON: its texts may have a NUL, which PostgreSQL refuses. A quote within a text is escaped.
update receipt set part = substring(document from '"digest":"([^"]*)"')
    where exists (select 1 from foreign_build f where f.project_id = receipt.project_id and f.build_id = receipt.build_id);
create index receipt_part on receipt (project_id, build_id, part) where part is not null;
