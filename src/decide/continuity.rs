//! How OVN's northbound database is prepared for a migration, and tidied up after it. All of it is pure:
//! what was read goes in, what is to be written comes out.

pub mod collect;
pub mod pair;
pub mod record;
pub mod warm;
