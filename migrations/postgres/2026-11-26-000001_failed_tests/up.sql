-- The failed (3) and broken (4) cases, in list order: a small share of all cases, but queried
-- across all projects.
create index test_result_failed on test_result (project_id, build_id, position) where status >= 3;
