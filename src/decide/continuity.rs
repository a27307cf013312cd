//! The network of a migration: how OVN's northbound database is prepared for it and tidied up after it, and
//! what is seen of it. All of it is pure: what was read goes in, what is to be written or said comes out.

pub mod collect;
pub mod detect;
pub mod pair;
pub mod record;
pub mod timeline;
pub mod warm;
