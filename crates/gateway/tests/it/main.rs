//! The draft's interface on a real session.

mod draft_on_postgres;
mod random;
mod support;
