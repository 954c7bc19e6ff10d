//! Files that real tools wrote; `fixtures/README.md` has the commands.
