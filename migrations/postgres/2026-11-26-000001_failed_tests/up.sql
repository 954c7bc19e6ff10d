-- The cases that failed (3) or broke (4), in the order of lists: few of many, and what is asked for across all projects.
create index test_result_failed on test_result (project_id, build_id, position) where status >= 3;
