//! Nobody can take the server down or act in another user's name: every limit and what it protects.

mod bodies;
mod connections;
mod lengths;
mod strangers;
