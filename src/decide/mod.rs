//! The decisions: facts in, verdict out. Pure and synchronous; no clock, no I/O, no logging and
//! no protocol, so that nothing in here can fail.

pub mod condition;
pub mod explain;
pub mod guard;
pub mod inject;
pub mod obstacles;
pub mod origin;
pub mod reason;
pub mod score;
