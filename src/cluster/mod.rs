//! The cluster as berth sees it: one immutable view that requests read, and where it comes from.

pub mod file;
pub mod view;

pub use view::View;
