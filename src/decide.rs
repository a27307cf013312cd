//! The decisions: facts in, verdict out. Pure and synchronous; no clock, no I/O, no logging and
//! no protocol, so that nothing in here can fail.

pub mod admit;
pub mod advisories;
pub mod causes;
pub mod checks;
pub mod codes;
pub mod compatibility;
pub mod condition;
pub mod continuity;
pub mod evaluate;
pub mod explain;
pub mod inject;
pub mod origin;
pub mod policy;
pub mod requirements;
pub mod retrofit;
pub mod score;
pub mod version;

#[cfg(test)]
mod tests;
