drop index test_result_failed;
