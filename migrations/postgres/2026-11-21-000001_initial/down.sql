drop function client_member_text;
drop function builds_with_tags;
drop table claim, sender_count, build_count, build_tag, step, build, collection, project, account;
